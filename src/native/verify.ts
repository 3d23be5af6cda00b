import { type JobControl, type NativeJob, runJob } from './job.js';
import { loadAddon } from './load.js';
import { type BackupKeys, keysOf } from './restore.js';

/** What is verified, and how. */
export interface VerifyOptions extends BackupKeys {
  /** Directory of the backup. */
  readonly backup: string;
  /** Threads, 1 to 256. */
  readonly workers: number;
  /** Report good files too. */
  readonly all?: boolean | undefined;
  /** Look at page checksums. */
  readonly pages?: boolean | undefined;
}

/** Why a file failed. */
export type VerifyReason = 'mismatch' | 'missing' | 'surplus' | 'unreadable' | 'truncated' | 'size';

/** What was found about one stored file. */
export interface VerifyFinding {
  /** Relative to the directory of the backup. */
  readonly path: string;
  /** Absent for a good file. */
  readonly reason?: VerifyReason | undefined;
  /** What was compared: a digest, `size`, or `page` for PostgreSQL's page checksum; empty when nothing could be. */
  readonly algorithm: string;
  /** What a list says. */
  readonly original: string;
  readonly calculated: string;
  /** A sentence for people; empty for a good file. */
  readonly message: string;
}

/** What a verification found. */
export interface VerifyReport {
  readonly files: number;
  /** Plain bytes read. */
  readonly bytes: number;
  /** By path. */
  readonly failed: readonly VerifyFinding[];
  /** Good files, when they were asked for. */
  readonly all?: readonly VerifyFinding[] | undefined;
  readonly pages: number;
  /** Pages changed while the backup ran: replay of WAL replaces them. */
  readonly replayedPages: number;
  readonly warnings: readonly string[];
  readonly seconds: number;
}

interface VerifyAddon {
  verifyBackup(options: object, job: NativeJob): Promise<VerifyReport>;
}

/**
 * Checks a stored backup and writes nothing: stored bytes against `backup.sha512`, sizes, plain bytes against
 * `backup.json` or the manifest, missing and surplus files. What cannot be read is a finding; the answer comes always.
 * @throws PgmonetaError IO when there is no such directory, CANCELLED
 */
export function verifyBackup(options: VerifyOptions, control: JobControl = {}): Promise<VerifyReport> {
  const { backup, workers, all, pages } = options;
  const order = { backup, keys: keysOf(options), workers, all: all ?? false, pages: pages ?? false };
  return runJob(control, (job) => loadAddon<VerifyAddon>().verifyBackup(order, job));
}
