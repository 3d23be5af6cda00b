import { describe, expect, it } from 'vitest';
import { formatLsn } from '../../../src/postgres/types.js';
import type { WalArchive } from '../../../src/wal/archive.js';
import { bytesFrom, gaps, newestPath, type PartialEnd, reachable, segmentsOn } from '../../../src/wal/coverage.js';
import { ancestry } from '../../../src/wal/timelines.js';
import { archiveOf, durable, lsn, MIB, name, range, tli } from './build.js';

/** 2 leaves 1 in the middle of segment 5, 3 leaves 2 exactly at the beginning of segment 8. */
const HISTORIES = { '00000002.history': '1\t0/580000\t\n', '00000003.history': '1\t0/580000\t\n2\t0/800000\t\n' };
const THREE = [...range(1, 2, 4), name(1, 5, '.partial'), ...range(2, 5, 7, '.zstd'), ...range(3, 8, 9)];

const way = (archive: WalArchive, timeline: number) => ancestry(tli(timeline), archive.histories);

function files(archive: WalArchive, timeline: number, from: string, to: string, end?: PartialEnd): string[] | string {
  const result = segmentsOn(archive, way(archive, timeline), lsn(from), lsn(to), end);
  if (result.kind === 'complete') return result.files.map((use) => use.file + (use.spare ? ' spare' : ''));
  const { segment, from: begin, to: stop } = result.missing;
  return `${segment} ${formatLsn(begin)}-${formatLsn(stop)}`;
}

function reach(archive: WalArchive, timeline: number, from: string, end?: PartialEnd): string {
  const { lsn: to, timeline: on, missing } = reachable(archive, way(archive, timeline), lsn(from), end);
  return `${on}:${formatLsn(to)}${missing ? ` ${missing.segment} ${formatLsn(missing.to)}` : ''}`;
}

describe('the files of a stretch', () => {
  const archive = archiveOf(THREE, HISTORIES);

  it('are those of one timeline, from the segment of the first byte to that of the last', () => {
    expect(files(archive, 1, '0/200028', '0/300000')).toEqual([name(1, 2)]);
    expect(files(archive, 1, '0/2FFFFF', '0/300001')).toEqual([name(1, 2), name(1, 3)]);
    expect(files(archive, 1, '0/300000', '0/300000')).toEqual([]);
  });

  it('change to the newer timeline with the segment of the switch', () => {
    expect(files(archive, 3, '0/400028', '0/900100')).toEqual([
      name(1, 4),
      ...range(2, 5, 7, '.zstd'),
      ...range(3, 8, 9),
    ]);
  });

  it('are those of the newer timeline too when the last byte is before the switch: it has a copy', () => {
    expect(files(archive, 3, '0/400028', '0/500100')).toEqual([name(1, 4), name(2, 5, '.zstd')]);
  });

  it("have the old timeline's last whole segment as a spare", () => {
    const whole = archiveOf([...THREE, name(1, 5)], HISTORIES);
    expect(files(whole, 2, '0/400028', '0/600000')).toEqual([name(1, 4), `${name(1, 5)} spare`, name(2, 5, '.zstd')]);
  });

  it("need the newer timeline's segment beyond the switch, and not before it", () => {
    const holed = archiveOf([...range(1, 2, 5), ...range(2, 6, 7)], HISTORIES);
    expect(files(holed, 2, '0/400000', '0/580000')).toEqual([name(1, 4), name(1, 5)]);
    expect(files(holed, 2, '0/400000', '0/580001')).toBe(`${name(2, 5)} 0/580000-0/580001`);
    expect(files(holed, 2, '0/400000', '0/700000')).toBe(`${name(2, 5)} 0/580000-0/600000`);
  });

  it('are refused with the first missing segment and its positions', () => {
    const holed = archiveOf([...range(1, 2, 3), name(1, 7)], {});
    expect(files(holed, 1, '0/200000', '0/780000')).toBe(`${name(1, 4)} 0/400000-0/700000`);
    expect(files(holed, 1, '0/200000', '0/480000')).toBe(`${name(1, 4)} 0/400000-0/480000`);
    expect(files(holed, 1, '0/100028', '0/380000')).toBe(`${name(1, 1)} 0/100028-0/200000`);
    expect(files(holed, 1, '0/700000', 'FFFFFFFF/FFFFFFFF')).toBe(`${name(1, 8)} 0/800000-FFFFFFFF/FFFFFFFF`);
    expect(files(archiveOf([]), 1, '0/100028', '0/380000')).toBe(`${name(1, 1)} 0/100028-0/380000`);
  });

  it('name the segment of the newest timeline that would do for a hole at a switch', () => {
    const holed = archiveOf([...range(1, 2, 4), ...range(2, 6, 7)], HISTORIES);
    expect(files(holed, 2, '0/200000', '0/700000')).toBe(`${name(2, 5)} 0/500000-0/600000`);
    expect(files(holed, 2, '0/200000', '0/500100')).toBe(`${name(1, 5)} 0/500000-0/500100`);
  });

  it('include a partial segment as far as it is known', () => {
    const open = archiveOf([...range(1, 2, 3), name(1, 4, '.partial')]);
    expect(files(open, 1, '0/300000', '0/410000')).toBe(`${name(1, 4)} 0/400000-0/410000`);
    expect(files(open, 1, '0/300000', '0/410000', durable('0/410000'))).toEqual([name(1, 3), name(1, 4, '.partial')]);
    expect(files(open, 1, '0/300000', '0/410001', durable('0/410000'))).toBe(`${name(1, 4)} 0/410000-0/410001`);
  });

  it('take the old whole segment when the newer partial one does not go far enough', () => {
    const open = archiveOf([...range(1, 4, 5), name(2, 5, '.partial')], HISTORIES);
    const short: PartialEnd = () => lsn('0/510000');
    expect(files(open, 2, '0/400000', '0/580000', short)).toEqual([name(1, 4), name(1, 5)]);
    expect(files(open, 2, '0/400000', '0/510000', short)).toEqual([
      name(1, 4),
      `${name(1, 5)} spare`,
      name(2, 5, '.partial'),
    ]);
  });

  it('of a timeline that was left end there, with what the last partial segment is known to have', () => {
    expect(files(archive, 1, '0/400000', '0/590000')).toBe(`${name(1, 5)} 0/500000-0/590000`);
    expect(files(archive, 1, '0/400000', '0/590000', durable('0/590000'))).toEqual([
      name(1, 4),
      name(1, 5, '.partial'),
    ]);
  });

  it('go over several switches in one segment', () => {
    const histories = { '00000002.history': '1\t0/510000\n', '00000003.history': '1\t0/510000\n2\t0/520000\n' };
    const one = archiveOf([name(1, 4), name(2, 5), name(3, 5), name(3, 6)], histories);
    expect(files(one, 3, '0/400000', '0/600001')).toEqual([name(1, 4), `${name(2, 5)} spare`, name(3, 5), name(3, 6)]);
    expect(reach(one, 3, '0/400000')).toBe('3:0/700000');
  });
});

describe('what can be reached', () => {
  const archive = archiveOf(THREE, HISTORIES);

  it('ends with the last whole segment, or where the receiver is', () => {
    expect(reach(archive, 3, '0/200028')).toBe('3:0/A00000');
    const open = archiveOf([...THREE, name(3, 10, '.partial')], HISTORIES);
    expect(reach(open, 3, '0/200028')).toBe('3:0/A00000');
    expect(reach(open, 3, '0/200028', durable('0/A12340'))).toBe('3:0/A12340');
    expect(reach(open, 3, '0/200028', durable('0/F12340'))).toBe('3:0/B00000');
  });

  it('ends before a hole, and says what is missing', () => {
    const holed = archiveOf(
      THREE.filter((file) => !file.startsWith(name(2, 6))),
      HISTORIES,
    );
    expect(reach(holed, 3, '0/200028')).toBe(`2:0/600000 ${name(2, 6)} 0/700000`);
    expect(reach(holed, 3, '0/700000')).toBe('3:0/A00000');
    expect(reach(holed, 1, '0/200028')).toBe('1:0/500000');
  });

  it('is nothing before the archive begins or behind its end', () => {
    expect(reach(archive, 3, '0/100028')).toBe(`1:0/100028 ${name(1, 1)} 0/200000`);
    expect(reach(archive, 3, 'A/0')).toBe('3:A/0');
    expect(reach(archiveOf([]), 1, '0/100028')).toBe('1:0/100028');
  });

  it('counts no WAL of a rival', () => {
    const rival = archiveOf([...range(1, 2, 9), ...range(2, 5, 6)], HISTORIES);
    expect(reach(rival, 2, '0/200028')).toBe('2:0/700000');
    expect(reach(rival, 1, '0/200028')).toBe('1:0/A00000');
  });
});

describe('gaps', () => {
  it('are found on the way to the newest timeline, split where the timeline changes', () => {
    const show = (archive: WalArchive, since: string) =>
      gaps(archive, lsn(since)).map(({ timeline, from, to }) => `${timeline}:${formatLsn(from)}-${formatLsn(to)}`);
    expect(show(archiveOf(THREE, HISTORIES), '0/200000')).toEqual([]);
    expect(show(archiveOf(THREE, HISTORIES), '0/100000')).toEqual(['1:0/100000-0/200000']);
    const holed = archiveOf([name(1, 2), name(2, 6), name(3, 9)], HISTORIES);
    expect(show(holed, '0/280000')).toEqual([
      '1:0/300000-0/580000',
      '2:0/580000-0/600000',
      '2:0/700000-0/800000',
      '3:0/800000-0/900000',
    ]);
    expect(show(archiveOf([]), '0/280000')).toEqual([]);
    expect(show(archiveOf(['FFFFFFFFFFFFFFFF00000FFF']), '0/0')).toEqual([`${0xffffffff}:0/0-FFFFFFFF/FFF00000`]);
  });
});

describe('the bytes from a position on', () => {
  it('are those on the way, from the beginning of its segment', () => {
    const archive = archiveOf([...THREE, ...range(1, 6, 9)], HISTORIES);
    expect(bytesFrom(archive, newestPath(archive), lsn('0/400028'))).toBe(6 * MIB);
    expect(bytesFrom(archive, newestPath(archive), lsn('0/0'))).toBe(8 * MIB);
    expect(bytesFrom(archive, way(archive, 1), lsn('0/400028'))).toBe(5 * MIB);
  });
});
