import type { Lsn } from '../postgres/index.js';

/** What the server said about the range of a backup. */
export interface StreamedBackup {
  readonly startLsn: Lsn;
  readonly startTimeline: number;
  readonly endLsn: Lsn;
  readonly endTimeline: number;
  /** When the end was received. */
  readonly stopped: Date;
}
