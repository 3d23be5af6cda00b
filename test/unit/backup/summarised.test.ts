import { describe, expect, it } from 'vitest';
import { findUnsummarised, summariesMissing } from '../../../src/backup/summarised.js';
import type { TimelineId, WalSummaries } from '../../../src/postgres/index.js';
import type { Lsn } from '../../../src/postgres/types.js';

/** @param reached timeline and position of the summariser */
function state(reached: [number, number] | undefined, ...ranges: [timeline: number, start: number, end: number][]) {
  return {
    summaries: ranges.map(([timeline, start, end]) => ({
      timeline: timeline as TimelineId,
      start: BigInt(start) as Lsn,
      end: BigInt(end) as Lsn,
    })),
    reached: reached && { timeline: reached[0] as TimelineId, lsn: BigInt(reached[1]) as Lsn },
    keepTime: '10d',
  } satisfies WalSummaries;
}

const ONE = [{ timeline: 1, begin: 0n, end: undefined }];
const TWO = [
  { timeline: 1, begin: 0n, end: 50n },
  { timeline: 2, begin: 50n, end: undefined },
];
const hole = (path: typeof ONE | typeof TWO, lsn: number, summaries: WalSummaries, timeline = 1) =>
  findUnsummarised(path, { timeline, lsn: BigInt(lsn) }, summaries);

describe('WAL that was not summarised', () => {
  it('is none when the summaries follow one another, in any order, overlapping or not', () => {
    expect(hole(ONE, 10, state([1, 30], [1, 20, 30], [1, 0, 20]))).toBeUndefined();
    expect(hole(ONE, 10, state([1, 30], [1, 5, 25], [1, 10, 12], [1, 20, 30]))).toBeUndefined();
  });

  it('is none when the summariser has yet to come there', () => {
    expect(hole(ONE, 30, state([1, 30], [1, 0, 30]))).toBeUndefined();
    expect(hole(ONE, 40, state([1, 30], [1, 0, 30]))).toBeUndefined();
    expect(hole(ONE, 10, state(undefined))).toBeUndefined();
    expect(hole(TWO, 10, state([1, 30], [1, 0, 30]))).toBeUndefined();
  });

  it('lies before the first summary, between two, and behind the last', () => {
    expect(hole(ONE, 10, state([1, 30], [1, 20, 30]))).toEqual({ timeline: 1, from: 10n, to: 20n });
    expect(hole(ONE, 10, state([1, 30], [1, 5, 15], [1, 20, 30]))).toEqual({ timeline: 1, from: 15n, to: 20n });
    expect(hole(ONE, 10, state([1, 30], [1, 5, 15]))).toEqual({ timeline: 1, from: 15n, to: 30n });
    expect(hole(ONE, 10, state([1, 30]))).toEqual({ timeline: 1, from: 10n, to: 30n });
  });

  it('is looked for on every timeline from the parent on', () => {
    expect(hole(TWO, 10, state([2, 80], [1, 0, 50], [2, 50, 80]))).toBeUndefined();
    expect(hole(TWO, 10, state([2, 80], [1, 0, 40], [2, 50, 80]))).toEqual({ timeline: 1, from: 40n, to: 50n });
    expect(hole(TWO, 10, state([2, 80], [1, 0, 50], [2, 60, 80]))).toEqual({ timeline: 2, from: 50n, to: 60n });
    // What the old timeline had behind the fork is of no use and of no harm.
    expect(hole(TWO, 10, state([2, 80], [1, 0, 50], [1, 55, 70], [2, 50, 80]))).toBeUndefined();
    expect(hole(TWO, 60, state([2, 80], [2, 50, 80]), 2)).toBeUndefined();
  });

  it('is told with the remedy', () => {
    const error = summariesMissing(
      'db',
      '20260101000001',
      { timeline: 1, from: 0x3000028n, to: 0x4000000n },
      state([1, 1]),
    );
    expect(error.message).toContain('from 0/3000028 to 0/4000000 on timeline 1');
    expect(error.hint).toContain('wal_summary_keep_time (10d on the server)');
  });
});
