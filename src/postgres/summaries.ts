import { asPgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { type Lsn, parseLsn } from './lsn.js';
import { type TimelineId, toTimeline } from './segment.js';

/** A stretch of WAL of which the server knows the changed blocks. */
export interface WalSummary {
  readonly timeline: TimelineId;
  readonly start: Lsn;
  /** First byte that is not summarised. */
  readonly end: Lsn;
}

/** How far the summariser of a server is. */
export interface WalSummaries {
  /** What is summarised on disk, in any order. */
  readonly summaries: readonly WalSummary[];
  /** Up to where everything was summarised; undefined when the summariser has not begun. */
  readonly reached: { readonly timeline: TimelineId; readonly lsn: Lsn } | undefined;
  /** `wal_summary_keep_time` as the server shows it, for example `10d`; 0 keeps summaries for ever. */
  readonly keepTime: string;
}

/** One statement, one consistent picture. Since PostgreSQL 17. */
const SUMMARIES = `
SELECT s.summarized_tli AS timeline, s.summarized_lsn AS reached,
  pg_catalog.current_setting('wal_summary_keep_time') AS keep_time,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(tli, start_lsn, end_lsn))
    FROM pg_catalog.pg_available_wal_summaries()) AS summaries
FROM pg_catalog.pg_get_wal_summarizer_state() s`;

/** What a role gets that may not call the functions. */
const NO_PRIVILEGE = 'POSTGRES_PERMISSION';

/**
 * Which WAL the server has summarised.
 * @param connection an ordinary connection to PostgreSQL 17 or newer
 * @returns undefined when the role may not see it
 */
export async function readSummaries(connection: Connection): Promise<WalSummaries | undefined> {
  const result = await connection.query(SUMMARIES).catch((error: unknown) => {
    if (asPgmonetaError(error).code === NO_PRIVILEGE) return undefined;
    throw error;
  });
  const [row] = result?.rows ?? [];
  if (row === undefined) return undefined;
  const [timeline, reached, keepTime, list] = row;
  const summaries = JSON.parse(list ?? '[]') as [number, string, string][];
  const begun = timeline != null && timeline !== '0';
  return {
    summaries: summaries.map(([on, start, end]) => ({
      timeline: toTimeline(String(on)),
      start: parseLsn(start),
      end: parseLsn(end),
    })),
    reached: begun ? { timeline: toTimeline(timeline), lsn: parseLsn(reached ?? '0/0') } : undefined,
    keepTime: keepTime ?? '',
  };
}
