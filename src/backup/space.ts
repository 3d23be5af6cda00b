import { PgmonetaError } from '../errors/index.js';
import type { BackupInfo } from '../repository/backup-info.js';

/** What is known before the first byte arrives. */
export interface SpaceQuestion {
  /** Plain bytes that the server announces, all tablespaces together. */
  readonly announced: number;
  /** Whether only changed blocks of what is announced will come. */
  readonly incremental: boolean;
  /** Whether files are compressed on the way to disk. */
  readonly compressed: boolean;
  /** The newest valid backup of the same kind, the best estimate there is. */
  readonly alike: BackupInfo | undefined;
  /** Bytes that are free where the repository is. */
  readonly available: number;
}

/** Without a backup to learn from, compressed data is taken to shrink to a quarter: only what cannot work is refused. */
const FIRST_RATIO = 0.25;
const MARGIN = 1.05;
/** For what the estimate does not see: WAL written during the backup, metadata. */
const RESERVE = 16 * 1024 * 1024;

/** Bytes that the backup is expected to take. */
export function expectedSize(question: SpaceQuestion): number {
  const { alike } = question;
  // How much has changed, nobody knows before; what the last one took is a fair guess.
  if (question.incremental) return alike?.backupSize ?? 0;
  if (!question.compressed) return question.announced;
  const known = alike !== undefined && alike.restoreSize > 0 && alike.compression !== 0;
  const ratio = known ? Math.min(1, alike.backupSize / alike.restoreSize) : FIRST_RATIO;
  return Math.ceil(question.announced * ratio);
}

/**
 * Refuses a backup that cannot fit.
 * @throws PgmonetaError NO_SPACE with the figures
 */
export function checkSpace(question: SpaceQuestion, directory: string): void {
  const needed = Math.ceil(expectedSize(question) * MARGIN) + RESERVE;
  if (needed <= question.available) return;
  const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const basis = question.incremental
    ? 'as the last incremental one did'
    : `the server announces ${mega(question.announced)}`;
  throw new PgmonetaError(
    'NO_SPACE',
    `not enough space: the backup needs about ${mega(needed)} (${basis}), but ${directory} has ${mega(question.available)} free`,
    { hint: 'free space there, delete old backups, or choose a stronger compression', workflow: 'Base backup' },
  );
}
