import { describe, expect, it } from 'vitest';
import { formatLsn } from '../../../src/postgres/types.js';
import { type HeldBackup, type HorizonInput, planHorizon } from '../../../src/wal/horizon.js';
import { archiveOf, lsn, MIB, name, range, tli } from './build.js';

const HISTORIES = { '00000002.history': '1\t0/580000\n', '00000003.history': '1\t0/580000\n2\t0/800000\n' };
const THREE = [...range(1, 2, 4), name(1, 5, '.partial'), ...range(2, 5, 7, '.zstd'), ...range(3, 8, 12)];
const FILES = [...range(1, 2, 4), ...range(2, 5, 7, '.zstd'), ...range(3, 8, 12)];

function backup(timeline: number, start: string, label = '20260101000000'): HeldBackup {
  return { label, timeline: tli(timeline), startLsn: lsn(start), startSegment: undefined };
}

function removed(input: Omit<HorizonInput, 'archive'>, names = THREE, histories: Record<string, string> = HISTORIES) {
  return planHorizon({ archive: archiveOf(names, histories), ...input }).remove.map(({ file }) => file);
}

describe('the horizon', () => {
  it('is the start segment of the oldest backup on its way', () => {
    const backups = [backup(2, '0/680028', '20260102000000'), backup(1, '0/380028')];
    expect(removed({ backups })).toEqual([name(1, 2)]);
    expect(removed({ backups: backups.slice(0, 1) })).toEqual(FILES.slice(0, 4));
    const plan = planHorizon({ archive: archiveOf(THREE, HISTORIES), backups });
    expect([...plan.keepFrom].map(([timeline, from]) => `${timeline}:${formatLsn(from)}`)).toEqual([
      '1:0/300000',
      '2:0/300000',
      '3:0/300000',
    ]);
    expect(plan.remove[0]?.reason).toBe('before the start of backup 20260101000000');
  });

  it('removes the files of a segment in every form, never a partial one', () => {
    const names = [name(1, 2), name(1, 2, '.zstd'), name(1, 2, '.partial'), name(1, 3, '.partial'), name(1, 9)];
    expect(removed({ backups: [backup(1, '0/900000')] }, names)).toEqual([name(1, 2), name(1, 2, '.zstd')]);
  });

  it('keeps the segment of the switch when a backup before it needs it', () => {
    expect(removed({ backups: [backup(1, '0/500028')] })).toEqual(range(1, 2, 4));
    expect(removed({ backups: [backup(2, '0/580028')] })).toEqual(range(1, 2, 4));
  });

  it('takes the lower one when the recorded start segment and the position differ', () => {
    const start = backup(1, '0/400028');
    const recorded = { ...start, startSegment: name(1, 3) as HeldBackup['startSegment'] };
    expect(removed({ backups: [start] })).toEqual(range(1, 2, 3));
    expect(removed({ backups: [recorded] })).toEqual([name(1, 2)]);
    const foreign = { ...start, startSegment: name(1, 300) as HeldBackup['startSegment'] };
    const sixteen = archiveOf(range(1, 2, 4), {}, 16 * MIB);
    expect(planHorizon({ archive: sixteen, backups: [{ ...foreign, startLsn: lsn('0/4000028') }] }).remove).toEqual([]);
  });

  it('removes nothing for a backup whose position is not known', () => {
    expect(removed({ backups: [backup(1, '0/0')] })).toEqual([]);
    expect(removed({ backups: [{ ...backup(1, '0/900000'), timeline: 0 as HeldBackup['timeline'] }] })).toEqual([]);
  });

  it('without a backup removes nothing, or what lies before a position that the caller gives', () => {
    expect(removed({ backups: [] })).toEqual([]);
    const names = [...THREE, ...range(4, 2, 3)];
    const receiverStart = { timeline: tli(2), lsn: lsn('0/680000') };
    expect(removed({ backups: [], receiverStart }, names)).toEqual(FILES.slice(0, 4));
    expect(removed({ backups: [], receiverStart, promisedFrom: new Map([[tli(1), lsn('0/0')]]) })).toEqual([]);
    expect(removed({ backups: [], receiverStart, slotPosition: lsn('0/400000') })).toEqual(range(1, 2, 3));
  });

  it('keeps what is promised, what the slot needs and what is being received', () => {
    const backups = [backup(3, '0/C00028')];
    expect(removed({ backups })).toEqual(FILES.slice(0, -1));
    expect(removed({ backups, promisedFrom: new Map([[tli(1), lsn('0/400000')]]) })).toEqual(range(1, 2, 3));
    expect(removed({ backups, slotPosition: lsn('0/6FFFFF') })).toEqual(FILES.slice(0, 4));
    expect(removed({ backups, open: { timeline: tli(3), number: 9n } })).not.toContain(name(3, 9));
  });

  it('keeps the last segment of the newest timeline: the receiver goes on from there', () => {
    const backups = [backup(1, '0/900028')];
    expect(removed({ backups }, [...range(1, 2, 4), name(1, 4, '.zstd')], {})).toEqual(range(1, 2, 3));
  });

  it('leaves everything when a name does not fit the size of segments', () => {
    const archive = archiveOf([...range(1, 2, 4), name(1, 300)], {}, 16 * MIB);
    const plan = planHorizon({ archive, backups: [backup(1, '0/4000028')] });
    expect(plan.remove).toEqual([]);
    expect(plan.reasons.get(tli(1))).toContain(name(1, 300));
  });
});

describe('the horizon and other branches', () => {
  /** 2 and 3 are rivals: 3 left 1 before 2 did. */
  const rivals = { '00000002.history': '1\t0/580000\n', '00000003.history': '1\t0/280000\n' };
  const names = [...range(1, 2, 9), ...range(2, 5, 9), ...range(3, 2, 9)];

  it('keeps both rivals for a backup before them', () => {
    expect(removed({ backups: [backup(1, '0/200028')] }, names, rivals)).toEqual([]);
  });

  it('keeps a rival that is not older than all backups, though no backup leads to it', () => {
    expect(removed({ backups: [backup(2, '0/800028')] }, names, rivals)).toEqual(
      [...range(1, 2, 7), ...range(2, 5, 7)].sort(
        (left, right) => left.slice(8).localeCompare(right.slice(8)) || left.localeCompare(right),
      ),
    );
  });

  it('removes what is left of older branches before the backup, not beyond it', () => {
    const gone = removed({ backups: [backup(3, '0/800028')] }, names, rivals);
    expect([...gone].sort()).toEqual([...range(1, 2, 7), ...range(2, 5, 7), ...range(3, 2, 7)]);
    expect(gone.map((file) => file.slice(16))).toEqual([...gone.map((file) => file.slice(16))].sort());
  });

  it('keeps a timeline that is being received, though it has no backup', () => {
    const open = { timeline: tli(2), number: 10n };
    const gone = removed({ backups: [backup(3, '0/800028')], open }, names, rivals);
    expect([...gone].sort()).toEqual([...range(1, 2, 7), ...range(3, 2, 7)]);
  });

  it('keeps a timeline of which nobody knows where it comes from', () => {
    for (const histories of [{}, { '00000002.history': 'garbage' }]) {
      expect(removed({ backups: [backup(3, '0/800028')] }, names, histories)).not.toContain(name(2, 5));
      expect(removed({ backups: [backup(1, '0/800028')] }, names, histories)).not.toContain(name(2, 5));
    }
  });

  it('after a recovery to an earlier position goes by the way of each backup', () => {
    const backups = [backup(1, '0/700028', '20260101000000'), backup(3, '0/500028', '20260102000000')];
    expect([...removed({ backups }, names, rivals)].sort()).toEqual([...range(1, 2, 6), ...range(3, 2, 4)]);
    // With the labels the other way round, nothing from the start of the oldest on goes.
    const swapped = [backup(1, '0/700028', '20260102000000'), backup(3, '0/500028', '20260101000000')];
    expect([...removed({ backups: swapped }, names, rivals)].sort()).toEqual([...range(1, 2, 4), ...range(3, 2, 4)]);
  });
});

describe('the horizon and backups that cannot be read', () => {
  it('stays where it is when one may be older than all others', () => {
    const backups = [backup(1, '0/400028', '20260102000000')];
    expect(removed({ backups, doubtful: ['20260101000000'] })).toEqual([]);
    expect(removed({ backups, doubtful: ['20260103000000'] })).toEqual(range(1, 2, 3));
  });

  it('moves only in the future of the oldest backup otherwise', () => {
    const histories = { '00000002.history': '1\t0/280000\n' };
    const names = [...range(1, 2, 9), ...range(2, 2, 9)];
    const backups = [backup(1, '0/800028', '20260101000000'), backup(2, '0/600028', '20260103000000')];
    expect([...removed({ backups }, names, histories)].sort()).toEqual([...range(1, 2, 7), ...range(2, 2, 5)]);
    expect(removed({ backups, doubtful: ['20260102000000'] }, names, histories)).toEqual(range(1, 2, 7));
  });
});

describe('the horizon and history files', () => {
  const histories = { ...HISTORIES, '0000000A.history': '1\t0/580000\n', '0000000a.history': '1\t0/580000\n' };

  it('keeps those of every timeline of which something is left, and of their ancestors', () => {
    expect(removed({ backups: [backup(3, '0/C00028')] }, range(3, 8, 12), histories).filter(isHistory)).toEqual([]);
  });

  it("keeps those above the oldest backup's timeline: latest is found by counting up", () => {
    const rivals = { '00000002.history': '1\t0/580000\n', '00000003.history': '1\t0/580000\n' };
    const backups = [backup(1, '0/480028'), backup(3, '0/C00028', '20260102000000')];
    expect(removed({ backups }, range(3, 8, 12), rivals)).not.toContain('00000002.history');
    expect(removed({ backups: backups.slice(1) }, range(3, 8, 12), rivals).filter(isHistory)).toEqual([
      '00000002.history',
    ]);
    const inUse = { backups: backups.slice(1), timelinesInUse: [tli(2)] };
    expect(removed(inUse, range(3, 8, 12), rivals).filter(isHistory)).toEqual([]);
  });

  it('removes both files of a dead timeline, last', () => {
    const backups = [backup(11, '0/C00028')];
    const files = { ...histories, '0000000B.history': '1\t0/580000\n2\t0/800000\n' };
    const gone = removed({ backups }, [...range(2, 5, 7), ...range(11, 8, 12)], files);
    expect(gone).toEqual([
      ...range(2, 5, 7),
      ...range(11, 8, 11),
      '00000003.history',
      '0000000A.history',
      '0000000a.history',
    ]);
  });

  it('keeps all when one is missing that could tell where a timeline comes from', () => {
    const backups = [backup(11, '0/C00028')];
    expect(removed({ backups }, range(11, 8, 12), histories).filter(isHistory)).toEqual([]);
  });

  const isHistory = (file: string) => file.endsWith('.history');
});
