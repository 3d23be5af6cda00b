import { PgmonetaError } from '../errors/index.js';
import { formatLsn, type WalSummaries } from '../postgres/index.js';
import type { TimelineStretch } from './parent.js';

/** WAL whose changed blocks the server will not know. */
export interface Unsummarised {
  readonly timeline: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Finds the first WAL since a parent's start that was not summarised and never will be: a hole between two summaries, or
 * before the place that the summariser has reached. What comes after that place, the summariser still has to do.
 * @param path the server's way, oldest timeline first
 */
export function findUnsummarised(
  path: readonly TimelineStretch[],
  parent: { readonly timeline: number; readonly lsn: bigint },
  { summaries, reached }: WalSummaries,
): Unsummarised | undefined {
  const first = path.findIndex(({ timeline }) => timeline === parent.timeline);
  for (const [index, { timeline, begin, end }] of path.slice(Math.max(0, first)).entries()) {
    let at = index === 0 ? parent.lsn : begin;
    const ranges = summaries
      .filter((range) => range.timeline === timeline && range.end > at)
      .sort((left, right) => (left.start < right.start ? -1 : 1));
    for (const range of ranges) {
      if (range.start > at && (end === undefined || at < end)) return { timeline, from: at, to: range.start };
      if (range.end > at) at = range.end;
    }
    const passed = reached !== undefined && reached.timeline > timeline ? end : undefined;
    const done = reached?.timeline === timeline ? reached.lsn : passed;
    if (done !== undefined && at < done) return { timeline, from: at, to: done };
    if (passed === undefined) return undefined;
  }
  return undefined;
}

/** The error for WAL that is not summarised. */
export function summariesMissing(
  server: string,
  parent: string,
  { timeline, from, to }: Unsummarised,
  { keepTime }: WalSummaries,
): PgmonetaError {
  return new PgmonetaError(
    'POSTGRES_SUMMARIES',
    `server ${server} has no summaries of its WAL from ${formatLsn(from)} to ${formatLsn(to)} on timeline ${timeline}, which an incremental backup on ${parent} needs`,
    {
      hint: `take a full backup now: pgmoneta-cli backup ${server} - then see that summarize_wal stays on and that wal_summary_keep_time (${keepTime} on the server) is longer than the time from a backup to the next that builds on it`,
    },
  );
}
