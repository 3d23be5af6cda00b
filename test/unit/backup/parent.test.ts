import { describe, expect, it } from 'vitest';
import { chooseParent, type ParentCandidate, type ParentQuestion } from '../../../src/backup/parent.js';
import { PgmonetaError } from '../../../src/errors/index.js';
import type { BackupInfo } from '../../../src/repository/backup-info.js';

const SYSTEM = '7710552881615372340';

/** A backup `20260101000<number>`, 0x1000000 bytes of WAL after the one before. */
function candidate(
  number: number,
  change: Partial<BackupInfo> & { system?: string | undefined } = {},
): ParentCandidate {
  const { system = SYSTEM, ...info } = change;
  const label = `2026010100000${number}`;
  const full = {
    label,
    majorVersion: 17,
    startLsn: `0/${number}000028`,
    endLsn: `0/${number}000120`,
    startTimeline: 1,
    endTimeline: 1,
    incremental: false,
    parent: '',
    status: true,
    ...info,
  } as BackupInfo;
  const valid = full.status === true;
  return {
    backup: {
      label,
      directory: `/repo/${label}`,
      validity: valid ? 'valid' : 'invalid',
      info: full,
      problem: valid ? undefined : 'backup.info says STATUS=0',
    },
    systemIdentifier: 'system' in change ? change.system : system,
  };
}

const child = (number: number, parent: number, change: Partial<BackupInfo> = {}) =>
  candidate(number, { incremental: true, parent: `2026010100000${parent}`, ...change });

function question(identifier: string, candidates: ParentCandidate[], change: Partial<ParentQuestion> = {}) {
  return {
    server: 'primary',
    identifier,
    candidates,
    systemIdentifier: SYSTEM,
    majorVersion: 17,
    path: [{ timeline: 1, begin: 0n, end: undefined }],
    position: 0x9000000n,
    ...change,
  };
}

const chosen = (identifier: string, candidates: ParentCandidate[], change: Partial<ParentQuestion> = {}) =>
  chooseParent(question(identifier, candidates, change)).label.at(-1);

function refusal(identifier: string, candidates: ParentCandidate[], change: Partial<ParentQuestion> = {}) {
  try {
    chooseParent(question(identifier, candidates, change));
  } catch (error) {
    if (error instanceof PgmonetaError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Timeline 2 leaves timeline 1 in the middle of segment 4. */
const PROMOTED = {
  path: [
    { timeline: 1, begin: 0n, end: 0x4800000n },
    { timeline: 2, begin: 0x4800000n, end: undefined },
  ],
};

describe('the parent of an incremental backup', () => {
  it('is the oldest or newest that fits, or the named one, full or incremental, with children or without', () => {
    const all = [candidate(1), child(2, 1), child(3, 1), child(4, 3)];
    expect(chosen('oldest', all)).toBe('1');
    expect(chosen('newest', all)).toBe('4');
    expect(chosen('latest', all)).toBe('4');
    expect(chosen('20260101000001', all)).toBe('1');
    expect(chosen('20260101000003', all)).toBe('3');
  });

  it('passes over what does not fit', () => {
    const all = [
      candidate(1, { majorVersion: 16 }),
      candidate(2, { system: '1' }),
      candidate(3),
      candidate(4, { status: false }),
      candidate(5, { startTimeline: 2, endTimeline: 2 }),
      candidate(6, { system: undefined }),
    ];
    expect(chosen('oldest', all)).toBe('3');
    expect(chosen('newest', all)).toBe('3');
  });

  it.each([
    ['not valid', candidate(4, { status: false }), {}, 'it is not valid (backup.info says STATUS=0)'],
    [
      'another major version',
      candidate(4, { majorVersion: 16 }),
      {},
      'it is of PostgreSQL 16, the server is PostgreSQL 17',
    ],
    ['another cluster', candidate(4, { system: '42' }), {}, 'it is of another cluster (system identifier 42;'],
    ['a cluster that nobody knows', candidate(4, { system: undefined }), {}, 'does not tell of which cluster'],
    [
      'a timeline beside the way',
      candidate(4, { startTimeline: 3, endTimeline: 3 }),
      PROMOTED,
      'on timeline 3 to 0/4000120 on timeline 3, which the server has not come by (its way is timeline 1 up to 0/4800000, then timeline 2)',
    ],
    [
      'behind the point where the server left',
      candidate(4, { startLsn: '0/4900028', endLsn: '0/4900120' }),
      PROMOTED,
      'which the server has not come by',
    ],
    ['ended behind that point', candidate(4, { endLsn: '0/4900000' }), PROMOTED, 'which the server has not come by'],
    [
      'before its timeline began',
      candidate(4, { startTimeline: 2, endTimeline: 2 }),
      PROMOTED,
      'which the server has not come by',
    ],
    [
      'ahead of the server',
      candidate(4),
      { position: 0x4000100n },
      'it ends at 0/4000120, but the WAL of the server ends at 0/4000100',
    ],
    ['an ancestor is missing', child(4, 2), {}, 'its ancestor 20260101000002 is missing'],
    ['it descends from itself', child(4, 4), {}, 'its ancestor 20260101000004 is an ancestor of itself'],
  ] as const)('is refused by name: %s', (_, backup, change, why) => {
    const alone = refusal('20260101000004', [backup], change);
    expect(alone.code).toBe('BACKUP_PARENT');
    expect(alone.message).toContain('backup 20260101000004 of primary cannot be the parent of an incremental backup: ');
    expect(alone.message).toContain(why);
    expect(alone.hint).toBe('take a full backup: pgmoneta-cli backup primary');
    const accompanied = refusal('20260101000004', [candidate(3), backup], change);
    expect(accompanied.hint).toContain('the newest backup that would do is 20260101000003');
  });

  it('is refused when an ancestor is not valid', () => {
    const all = [candidate(1, { status: false }), child(2, 1), child(3, 2)];
    expect(refusal('20260101000003', all).message).toContain('its ancestor 20260101000001 is not valid');
    expect(refusal('newest', all).message).toContain('20260101000003: its ancestor');
  });

  it('may lie on an older timeline, and cross to the present one', () => {
    expect(chosen('newest', [candidate(4)], PROMOTED)).toBe('4');
    expect(chosen('newest', [candidate(4, { endLsn: '0/4800200', endTimeline: 2 })], PROMOTED)).toBe('4');
    expect(chosen('newest', [candidate(5, { startTimeline: 2, endTimeline: 2 })], PROMOTED)).toBe('5');
  });

  it('is none: the newest three are explained, and a full one is the way', () => {
    const all = [1, 2, 3, 4].map((number) => candidate(number, { status: false }));
    const { code, message, hint } = refusal('latest', all);
    expect(code).toBe('BACKUP_NOBACKUPS');
    expect(message).toMatch(/\(20260101000004: .*; 20260101000003: .*; 20260101000002: .*; and 1 more\)$/);
    expect(hint).toContain('take a full backup first: pgmoneta-cli backup primary');
    expect(refusal('newest', []).message).toBe('server primary has no backup to build on');
  });

  it('is not there: the labels that are', () => {
    const { code, message, hint } = refusal('20250101000000', [candidate(1)]);
    expect(code).toBe('BACKUP_NOBACKUPS');
    expect(message).toContain('has no backup 20250101000000; it has 20260101000001');
    expect(hint).toContain('20260101000001');
  });
});
