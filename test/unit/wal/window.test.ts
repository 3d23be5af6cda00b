import { describe, expect, it } from 'vitest';
import { formatLsn } from '../../../src/postgres/types.js';
import type { WalArchive } from '../../../src/wal/archive.js';
import { liveEnd, type PartialEnd } from '../../../src/wal/coverage.js';
import { backupWindow, describeMissing, serverWindow, type WindowBackup } from '../../../src/wal/window.js';
import { archiveOf, lsn, MIB, name, range, tli } from './build.js';

const HISTORIES = { '00000002.history': '1\t0/580000\n', '00000003.history': '1\t0/480000\n' };
const STOPPED = new Date('2026-01-31T12:00:00Z');

function backup(timeline: number, start: string, end: string, own?: string): WindowBackup {
  return {
    label: '20260131120000',
    startLsn: lsn(start),
    endLsn: lsn(end),
    endTimeline: tli(timeline),
    stopTime: STOPPED,
    ownWalEnd: own === undefined ? undefined : lsn(own),
  };
}

function window(archive: WalArchive, of: WindowBackup, end?: PartialEnd): string {
  const { from, to, broken } = backupWindow(archive, of, end);
  const hole =
    broken === undefined ? '' : ` broken ${broken.segment} ${formatLsn(broken.from)}-${formatLsn(broken.to)}`;
  return `${from.timeline}:${formatLsn(from.lsn)} to ${to.timeline}:${formatLsn(to.lsn)}${hole}`;
}

describe('the window of a backup', () => {
  it('is the backup alone without WAL', () => {
    expect(window(archiveOf([]), backup(1, '0/200028', '0/200158'))).toBe('1:0/200158 to 1:0/200158');
    expect(window(archiveOf([]), backup(1, '0/200028', '0/200158', '0/300000'))).toBe('1:0/200158 to 1:0/200158');
  });

  it('reaches as far as there is WAL, and as the receiver is', () => {
    const archive = archiveOf([...range(1, 2, 5), name(1, 6, '.partial')]);
    const of = backup(1, '0/200028', '0/200158');
    expect(window(archive, of)).toBe('1:0/200158 to 1:0/600000');
    expect(window(archive, of, liveEnd({ timeline: tli(1), durable: lsn('0/654321') }))).toBe(
      '1:0/200158 to 1:0/654321',
    );
    expect(window(archive, of, liveEnd({ timeline: tli(2), durable: lsn('0/654321') }))).toBe(
      '1:0/200158 to 1:0/600000',
    );
    expect(window(archive, of, liveEnd({ timeline: tli(1), durable: lsn('0/554321') }))).toBe(
      '1:0/200158 to 1:0/600000',
    );
    expect(window(archive, of, liveEnd(undefined))).toBe('1:0/200158 to 1:0/600000');
  });

  it("goes on with the archive where the backup's own WAL ends", () => {
    const archive = archiveOf(range(1, 3, 5));
    expect(window(archive, backup(1, '0/200028', '0/200158', '0/300000'))).toBe('1:0/200158 to 1:0/600000');
    expect(window(archive, backup(1, '0/200028', '0/200158'))).toBe(
      `1:0/200158 to 1:0/200158 broken ${name(1, 2)} 0/200158-0/300000`,
    );
  });

  it('ends at a hole, and says so', () => {
    const archive = archiveOf([...range(1, 2, 3), ...range(1, 5, 6)]);
    expect(window(archive, backup(1, '0/200028', '0/200158', '0/300000'))).toBe(
      `1:0/200158 to 1:0/400000 broken ${name(1, 4)} 0/400000-0/500000`,
    );
    const late = archiveOf(range(1, 5, 6));
    expect(window(late, backup(1, '0/200028', '0/200158', '0/300000'))).toBe(
      `1:0/200158 to 1:0/200158 broken ${name(1, 3)} 0/300000-0/500000`,
    );
    const { broken } = backupWindow(archive, backup(1, '0/200028', '0/200158'));
    expect(broken && describeMissing(broken)).toBe(
      `WAL from 0/400000 to 0/500000 on timeline 1 is missing; the first segment that is needed is ${name(1, 4)}`,
    );
  });

  it('leads to the newest timeline that comes from the backup, not to a rival', () => {
    const archive = archiveOf([...range(1, 2, 8), ...range(2, 5, 6), ...range(3, 4, 7)], HISTORIES);
    expect(window(archive, backup(1, '0/200028', '0/200158'))).toBe('1:0/200158 to 3:0/800000');
    expect(window(archive, backup(1, '0/400028', '0/490000'))).toBe('1:0/490000 to 2:0/700000');
    expect(window(archive, backup(1, '0/600028', '0/600158'))).toBe('1:0/600158 to 1:0/900000');
    expect(window(archive, backup(2, '0/600028', '0/600158'))).toBe('2:0/600158 to 2:0/700000');
    // Its end is exactly where timeline 2 begins: it is on the way.
    expect(window(archive, backup(1, '0/400028', '0/580000'))).toBe('1:0/580000 to 2:0/700000');
  });

  it('counts the WAL from the start of the backup on', () => {
    const archive = archiveOf([...range(1, 2, 4), ...range(2, 5, 6), name(1, 9)], HISTORIES);
    expect(backupWindow(archive, backup(1, '0/300028', '0/490000')).walBytes).toBe(4 * MIB);
  });
});

describe('the window of a server', () => {
  it('is the union, with what is broken in it', () => {
    const archive = archiveOf([...range(1, 2, 3), ...range(1, 5, 6)]);
    const first = backupWindow(archive, backup(1, '0/200028', '0/200158'));
    const second = backupWindow(archive, { ...backup(1, '0/500028', '0/500158'), label: '20260201120000' });
    const newest = new Date();
    expect(serverWindow([first, second], newest)).toEqual({ from: first.from, to: second.to, newest, broken: [first] });
    expect(serverWindow([])).toBeUndefined();
  });

  it('reaches to the newest timeline, though an older one has higher positions', () => {
    const archive = archiveOf([...range(1, 2, 9), ...range(2, 5, 6)], HISTORIES);
    const old = backupWindow(archive, { ...backup(1, '0/700028', '0/700158'), label: '20260101120000' });
    const fresh = backupWindow(archive, backup(2, '0/600028', '0/600158'));
    expect(serverWindow([old, fresh])?.to).toEqual({ timeline: 2, lsn: lsn('0/700000') });
  });
});
