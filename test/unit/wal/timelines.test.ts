import { describe, expect, it } from 'vitest';
import { type Lsn, parseLsn, type TimelineId } from '../../../src/postgres/types.js';
import {
  ancestry,
  branches,
  describeTimelines,
  HISTORY_SIZE_LIMIT,
  type Histories,
  isAncestor,
  isKnownTimeline,
  leadsThrough,
  newestTimeline,
  parseHistory,
  pathFor,
  timelineAt,
} from '../../../src/wal/timelines.js';
import { refusal } from '../temporary.js';

const tli = (number: number) => number as TimelineId;
const parse = (timeline: number, text: string) => parseHistory(tli(timeline), text, '/wal/x.history');

/** History files by timeline. */
function histories(files: Record<number, string>): Histories {
  return new Map(Object.entries(files).map(([number, text]) => [tli(Number(number)), parse(Number(number), text)]));
}

const path = (timeline: number, known: Histories) =>
  ancestry(tli(timeline), known).map(
    ({ timeline, begin, end }) => `${timeline}:${begin.toString(16)}-${end === undefined ? '' : end.toString(16)}`,
  );

/** As PostgreSQL 15 wrote them: 2 after the end of 1; 3 by a recovery along `latest` to a point before 2 began. */
const REAL = {
  2: '1\t0/4000000\tno recovery target specified\n',
  3: '1\t0/4000000\tno recovery target specified\n\n2\t0/200FBB0\tafter LSN 0/200FB70\n\n',
  4: '1\t0/4000000\tno recovery target specified\n\n2\t0/200FBB0\tafter LSN 0/200FB70\n\n\n3\t0/3000000\tno recovery target specified\n',
};
/** 2 and 3 are rivals, both from 1; 4 comes from 2, 5 from 3. */
const RIVALS = histories({
  2: '1\t0/3000000\t\n',
  3: '1\t0/2500000\t\n',
  4: '1\t0/3000000\t\n2\t0/5000000\t\n',
  5: '1\t0/2500000\t\n3\t0/6000000\t\n',
});

describe('a history file', () => {
  it('is read with comments, empty lines, blanks and reasons of any kind', () => {
    const text = '# a comment\n\n  \t\n 1\t0/3000000\tat restore point "# 9\t0/1"\r\n\t2   A/B00000c8\n3\t10/0';
    expect(parse(10, text).entries).toEqual([
      { timeline: 1, switchPoint: parseLsn('0/3000000') },
      { timeline: 2, switchPoint: parseLsn('A/B00000C8') },
      { timeline: 3, switchPoint: parseLsn('10/0') },
    ]);
  });

  it('may have the NUL bytes of 0.21 at its end, and nowhere else', async () => {
    expect(parse(2, `${REAL[2]}\0`)).toEqual(parse(2, REAL[2]));
    expect(parse(2, `${REAL[2].trimEnd()}\0\0\0`)).toEqual(parse(2, REAL[2]));
    await refusal(() => parse(2, `\0${REAL[2]}`), 'REPOSITORY_DAMAGED', /x\.history:1: expected a timeline/);
  });

  it('may be empty', () => {
    expect(parse(2, '').entries).toEqual([]);
    expect(parse(2, '\0').entries).toEqual([]);
  });

  it.each([
    ['1\n', /:1: expected a timeline and a WAL position, found "1"/],
    ['one\t0/1\n', /:1: expected/],
    ['1\t0x3000000\n', /:1: expected/],
    ['1\t0/3000000000\n', /:1: expected/],
    ['-1\t0/3000000\n', /:1: expected/],
    ['#\n0\t0/3000000\n', /:2: 0 is not a timeline/],
    ['9999999999\t0/3000000\n', /:1: 9999999999 is not a timeline/],
    ['1\t0/3000000\n1\t0/4000000\n', /:2: timeline 1 follows timeline 1; the numbers have to rise/],
    ['2\t0/3000000\n\n1\t0/4000000\n', /:3: timeline 1 follows timeline 2/],
    ['1\t0/3000000\n7\t0/4000000\n', /:2: timeline 7 cannot be an ancestor of timeline 7/],
    ['1\t0/0\n', /:1: no timeline ends at 0\/0/],
    [`1\t0/3000000\t${'x'.repeat(5000)}\n`, /:1: the line is longer than 4096 bytes/],
    ['x'.repeat(HISTORY_SIZE_LIMIT + 1), /:1: the file is larger than 1048576 bytes/],
  ])('is refused with file, line and cause: %j', async (text, why) => {
    const error = await refusal(() => parse(7, text), 'REPOSITORY_DAMAGED', why);
    expect(error.message.startsWith('/wal/x.history:')).toBe(true);
    expect(error.message.length).toBeLessThan(200);
  });

  it('cut anywhere is read or refused, and never with a timeline that is not in it', () => {
    const text = REAL[4];
    for (let length = 0; length <= text.length; length++) {
      try {
        for (const { timeline } of parse(4, text.slice(0, length)).entries) expect([1, 2, 3]).toContain(timeline);
      } catch (error) {
        expect(error).toMatchObject({ code: 'REPOSITORY_DAMAGED' });
      }
    }
  });

  it('full of what takes long to match is still read quickly', () => {
    const begun = performance.now();
    for (const piece of ['\0', ' ', '\n', '\t ', '1 '])
      expect(() => parse(2, `${piece.repeat(HISTORY_SIZE_LIMIT / piece.length - 1)}x`)).toThrow();
    expect(performance.now() - begun).toBeLessThan(5000);
  });
});

describe('the way to a timeline', () => {
  it('is the timeline alone when it has no parent', () => {
    expect(path(1, new Map())).toEqual(['1:0-']);
  });

  it('leads over its ancestors, oldest first', () => {
    expect(path(4, RIVALS)).toEqual(['1:0-3000000', '2:3000000-5000000', '4:5000000-']);
    expect(path(5, RIVALS)).toEqual(['1:0-2500000', '3:2500000-6000000', '5:6000000-']);
  });

  it('leaves out, as PostgreSQL does, a timeline that was followed to a point before its beginning', () => {
    const real = histories(REAL);
    expect(path(3, real)).toEqual(['1:0-200fbb0', '3:200fbb0-']);
    expect(path(4, real)).toEqual(['1:0-200fbb0', '3:200fbb0-3000000', '4:3000000-']);
    expect(isAncestor(tli(2), tli(4), real)).toBe(false);
    expect(isAncestor(tli(1), tli(4), real)).toBe(true);
  });

  it('leaves out a timeline without WAL: two switches at one place', () => {
    expect(path(3, histories({ 3: '1\t0/3000000\n2\t0/3000000\n' }))).toEqual(['1:0-3000000', '3:3000000-']);
  });

  it('is told by the file of a descendant when its own is missing', () => {
    const known = histories({ 4: '1\t0/3000000\n2\t0/5000000\n3\t0/6000000\n' });
    expect(path(3, known)).toEqual(['1:0-3000000', '2:3000000-5000000', '3:5000000-']);
    expect(isKnownTimeline(tli(3), known)).toBe(true);
    expect(isKnownTimeline(tli(5), known)).toBe(false);
    expect(path(5, known)).toEqual(['5:0-']);
  });

  it('tells which timeline holds a position', () => {
    const four = ancestry(tli(4), RIVALS);
    const at = (lsn: string) => timelineAt(four, parseLsn(lsn));
    expect([at('0/0'), at('0/2FFFFFF'), at('0/3000000'), at('0/4FFFFFF'), at('0/5000000'), at('F/0')]).toEqual([
      1, 1, 2, 2, 4, 4,
    ]);
    expect(timelineAt([], 1n)).toBeUndefined();
  });

  it('leads through a backup that ends where the timeline was left, not one that ends later', () => {
    const four = ancestry(tli(4), RIVALS);
    expect(leadsThrough(four, tli(1), parseLsn('0/3000000'))).toBe(true);
    expect(leadsThrough(four, tli(1), parseLsn('0/3000001'))).toBe(false);
    expect(leadsThrough(four, tli(2), parseLsn('0/3000000'))).toBe(false);
    expect(leadsThrough(four, tli(2), parseLsn('0/3000001'))).toBe(true);
    expect(leadsThrough(four, tli(3), parseLsn('0/2600000'))).toBe(false);
  });

  it('tells rivals apart', () => {
    expect(isAncestor(tli(2), tli(5), RIVALS)).toBe(false);
    expect(isAncestor(tli(3), tli(5), RIVALS)).toBe(true);
    expect(branches(RIVALS)).toEqual([
      { timeline: 1, parent: undefined, begin: 0n },
      { timeline: 2, parent: 1, begin: parseLsn('0/3000000') },
      { timeline: 3, parent: 1, begin: parseLsn('0/2500000') },
      { timeline: 4, parent: 2, begin: parseLsn('0/5000000') },
      { timeline: 5, parent: 3, begin: parseLsn('0/6000000') },
    ]);
    expect(describeTimelines(RIVALS)).toBe(
      '1, 2 (leaves 1 at 0/3000000), 3 (leaves 1 at 0/2500000), 4 (leaves 2 at 0/5000000), 5 (leaves 3 at 0/6000000)',
    );
    expect(describeTimelines(new Map())).toBe('none');
  });
});

describe('the timeline of a target', () => {
  const backup = (timeline: number, end: string) => ({
    label: '20260101000000',
    timeline: tli(timeline),
    endLsn: parseLsn(end) as Lsn,
  });
  const timelines = (target: number | 'latest' | 'current', from: ReturnType<typeof backup>, known = RIVALS) =>
    pathFor(typeof target === 'number' ? tli(target) : target, from, known).map((piece) => piece.timeline);

  it('latest counts up from the backup until a history file is missing', () => {
    expect(newestTimeline(RIVALS, tli(1))).toBe(5);
    const holed = new Map(RIVALS);
    holed.delete(tli(3));
    expect(newestTimeline(holed, tli(1))).toBe(2);
    expect(newestTimeline(holed, tli(3))).toBe(5);
    expect(newestTimeline(new Map(), tli(1))).toBe(1);
  });

  it('is found for a backup before both rivals', () => {
    expect(timelines('latest', backup(1, '0/2000100'))).toEqual([1, 3, 5]);
    expect(timelines(4, backup(1, '0/2000100'))).toEqual([1, 2, 4]);
    expect(timelines('current', backup(1, '0/2000100'))).toEqual([1]);
    expect(timelines('current', backup(3, '0/2600000'))).toEqual([1, 3]);
  });

  it('is refused, naming the timelines there are, when the backup is not on the way', async () => {
    // It was taken on 1 after 3 had left, before 2 had: latest is 5, which comes from 3.
    await refusal(
      () => timelines('latest', backup(1, '0/2800000')),
      'WAL_TIMELINE',
      /ends at 0\/2800000 on timeline 1, which is not on the way to timeline 5 \(latest\); the timelines there are: 1, 2 \(leaves 1 at 0\/3000000\), 3/,
    );
    expect(timelines(4, backup(1, '0/2800000'))).toEqual([1, 2, 4]);
    await refusal(() => timelines(5, backup(2, '0/3100000')), 'WAL_TIMELINE', /not on the way to timeline 5;/);
    await refusal(() => timelines(1, backup(2, '0/3100000')), 'WAL_TIMELINE', /not on the way to timeline 1;/);
    const error = await refusal(
      () => timelines(9, backup(1, '0/2000100')),
      'WAL_TIMELINE',
      /timeline 9 has no history file in the archive; the timelines there are: 1, 2/,
    );
    expect(error.hint).toContain('timeline=current');
  });

  it("the backup's own needs no history file", () => {
    expect(timelines('current', backup(7, '0/2800000'), new Map())).toEqual([7]);
    expect(timelines(7, backup(7, '0/2800000'), new Map())).toEqual([7]);
  });
});
