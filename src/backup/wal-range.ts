import { PgmonetaError } from '../errors/index.js';
import { segmentName, segmentNumber } from '../postgres/index.js';
import type { StreamedBackup } from './stream.js';

/**
 * Proves that `pg_wal` of the backup has every segment from its start to its end: without them it cannot reach
 * consistency.
 * @param walSegmentSize bytes
 * @param present names of the files in `pg_wal`
 * @throws PgmonetaError CORRUPT naming the missing segments
 */
export function checkWalRange(streamed: StreamedBackup, walSegmentSize: number, present: readonly string[]): void {
  const have = new Set(present);
  const missing: string[] = [];
  const first = segmentNumber(streamed.startLsn, walSegmentSize);
  // The end is the first byte that is not needed: exactly at a border, the segment behind it is not.
  const last = segmentNumber((streamed.endLsn - 1n) as typeof streamed.endLsn, walSegmentSize);
  for (let number = first; number <= last; number++) {
    const onTimeline = (timeline: number): string => segmentName(timeline, number, walSegmentSize);
    if (!have.has(onTimeline(streamed.endTimeline)) && !have.has(onTimeline(streamed.startTimeline))) {
      missing.push(onTimeline(streamed.endTimeline));
    }
  }
  if (missing.length === 0) return;
  throw new PgmonetaError(
    'CORRUPT',
    `the backup lacks the WAL segments ${missing.slice(0, 10).join(', ')} that it needs`,
    {
      hint: 'raise wal_keep_size on the server or use a replication slot, then take the backup again',
    },
  );
}
