import { describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import { candidatesFor, firstThatLeads, labelsBefore, type Try } from '../../../src/jobs/restore-choice.js';
import type { Attempt } from '../../../src/jobs/restore-reach.js';
import type { BackupWal } from '../../../src/jobs/wal-facts.js';
import { parseLsn, type TimelineId } from '../../../src/postgres/types.js';
import { parsePosition } from '../../../src/restore/position.js';
import { type Histories, parseHistory } from '../../../src/wal/timelines.js';

interface Known {
  readonly wal: BackupWal;
}

function backup(label: string, start: string, end: string, minute: number, timeline = 1): Known {
  return {
    wal: {
      label,
      timeline: timeline as TimelineId,
      startLsn: parseLsn(start),
      startSegment: undefined,
      endLsn: parseLsn(end),
      endTimeline: timeline as TimelineId,
      stopTime: new Date(Date.UTC(2026, 0, 31, 12, minute)),
      ownWalEnd: undefined,
      segmentSize: undefined,
    },
  };
}

const A = backup('a', '0/1000000', '0/1000100', 0);
const B = backup('b', '0/3000000', '0/3000100', 10);
const C = backup('c', '0/5000000', '0/5000100', 20);
const ALL = [A, B, C];
const NONE: Histories = new Map();
/** Timeline 2 leaves 1 between B and C. */
const FORK: Histories = new Map([
  [2 as TimelineId, parseHistory(2 as TimelineId, '1\t0/4000000\tno recovery target specified\n', 'test')],
]);

const labels = (text: string, identifier: 'newest' | 'latest' | 'oldest' = 'newest', histories = NONE, all = ALL) =>
  candidatesFor(identifier, parsePosition(text), all, histories).map(({ backup }) => backup.wal.label);

describe('the backups that can lead to a target', () => {
  it('end at or before it', () => {
    expect(labels('lsn=0/3000100')).toEqual(['b', 'a']);
    expect(labels('lsn=0/30000FF')).toEqual(['a']);
    expect(labels('time=2026-01-31 12:10:00Z')).toEqual(['b', 'a']);
    expect(labels('time=2026-01-31 12:09:59.999999Z')).toEqual(['a']);
    expect(labels('current')).toEqual(['c', 'b', 'a']);
    expect(labels('current', 'oldest')).toEqual(['a', 'b', 'c']);
  });

  it('are on the way to its timeline', () => {
    expect(labels('current', 'newest', FORK)).toEqual(['b', 'a']);
    expect(labels('current,timeline=1', 'newest', FORK)).toEqual(['c', 'b', 'a']);
    expect(labels('current,timeline=current', 'newest', FORK)).toEqual(['c', 'b', 'a']);
    expect(labels('immediate', 'latest', FORK)).toEqual(['c', 'b', 'a']);
    const onSecond = [...ALL, backup('d', '0/6000000', '0/6000100', 30, 2)];
    expect(labels('current', 'newest', FORK, onSecond)).toEqual(['d', 'b', 'a']);
    expect(labels('current,timeline=1', 'newest', FORK, onSecond)).toEqual(['c', 'b', 'a']);
  });

  it('are none, and it is said why', () => {
    const refusal = (code: string, text: RegExp) =>
      expect.objectContaining({ code, message: expect.stringMatching(text) });
    expect(() => labels('lsn=0/1000000')).toThrow(refusal('RESTORE_NOBACKUP', /the oldest, a, ends at 0\/1000100/));
    expect(() => labels('current', 'newest', NONE, [])).toThrow(refusal('RESTORE_NOBACKUP', /no valid backup/));
    expect(() => labels('current,timeline=3', 'newest', FORK)).toThrow(refusal('WAL_TIMELINE', /timeline 3/));
    expect(() => labels('current', 'newest', FORK, [C])).toThrow(refusal('WAL_TIMELINE', /not on the way/));
  });

  it('are named when the one that was asked for ends too late', () => {
    const named = (text: string, histories = NONE) =>
      labelsBefore(parsePosition(text), ALL, histories, parseLsn('0/4800000'));
    expect(named('xid=700')).toEqual(['a', 'b']);
    expect(named('time=2026-01-31 12:05:00Z')).toEqual(['a']);
    expect(named('xid=700,timeline=2', FORK)).toEqual(['a', 'b']);
  });
});

describe('the choice', () => {
  type Kind = Attempt['kind'];

  /** Tries candidates with outcomes that are given by label; tells what was asked. */
  async function choose(text: string, outcomes: Record<string, Kind[]>, identifier: 'newest' | 'oldest' = 'newest') {
    const asked: string[] = [];
    const attempt: Try<Known> = async ({ backup: { wal } }, until) => {
      asked.push(until === undefined ? wal.label : `${wal.label}<${until.toString(16)}`);
      const kind = outcomes[wal.label]?.shift() ?? 'beyond';
      const error = new PgmonetaError('RESTORE_SETUP', `${wal.label} ${kind}`);
      return { kind, error, stretch: undefined, report: undefined, stop: undefined } as unknown as Attempt;
    };
    const position = parsePosition(text);
    const candidates = candidatesFor(identifier, position, ALL, NONE);
    const chosen = await firstThatLeads(identifier, position, candidates, attempt).then(
      ({ candidate }) => candidate.backup.wal.label,
      (error: PgmonetaError) => error.message,
    );
    return { chosen, asked };
  }

  it('is the first that leads there', async () => {
    expect(await choose('current', { c: ['reached'] })).toEqual({ chosen: 'c', asked: ['c'] });
    expect(await choose('current', { a: ['reached'] }, 'oldest')).toEqual({ chosen: 'a', asked: ['a'] });
  });

  it('goes to older ones for what has a name, and reads no stretch twice before it is found', async () => {
    expect(await choose('name=x', { c: ['beyond'], b: ['beyond'], a: ['reached', 'reached'] })).toEqual({
      chosen: 'a',
      asked: ['c', 'b<5000000', 'a<3000000', 'a'],
    });
    expect(await choose('xid=700', {})).toEqual({ chosen: 'c beyond', asked: ['c', 'b<5000000', 'a<3000000'] });
  });

  it('goes to an older one when recovery would stop too early, and reads on to that place', async () => {
    expect(await choose('xid=700', { c: ['early'], b: ['reached'] })).toEqual({ chosen: 'b', asked: ['c', 'b'] });
    expect(await choose('time=2026-01-31 12:30:00Z', { c: ['early'], b: ['early'], a: ['early'] })).toEqual({
      chosen: 'a early',
      asked: ['c', 'b', 'a'],
    });
  });

  it('does not look elsewhere for what older backups cannot have either', async () => {
    for (const kind of ['beyond', 'hole', 'damaged'] as const) {
      expect(await choose('lsn=0/9000000', { c: [kind] })).toEqual({ chosen: `c ${kind}`, asked: ['c'] });
    }
  });

  it('starts behind a hole when the oldest backup lies before it', async () => {
    expect(await choose('current', { a: ['hole'], b: ['reached'] }, 'oldest')).toEqual({
      chosen: 'b',
      asked: ['a', 'b'],
    });
    expect(await choose('name=x', { a: ['beyond'] }, 'oldest')).toEqual({ chosen: 'a beyond', asked: ['a'] });
  });
});
