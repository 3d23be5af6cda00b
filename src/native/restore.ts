import { native } from './errors.js';
import { type JobControl, type NativeJob, runJob } from './job.js';
import { loadAddon } from './load.js';

export type { JobControl, JobProgress } from './job.js';

/** What opens encrypted files. */
export interface BackupKeys {
  /** The 64 bytes derived from the master key. */
  readonly masterSecret?: Buffer | undefined;
  /** The master password itself: files of pgmoneta 0.20 and before are encrypted with it. */
  readonly masterPassword?: Buffer | undefined;
  /** The mode that the caller believes in, for example `aes-256-gcm`; the files themselves are believed first. */
  readonly encryption?: string | undefined;
}

/** Where one tablespace goes. */
export interface TablespaceDestination {
  readonly oid: string;
  readonly name?: string | undefined;
  /** Directory that its files are written to; absent or empty. */
  readonly directory: string;
  /** What `pg_tblspc/<oid>` points to. */
  readonly link: string;
}

/** What is restored where. */
export interface RestoreOptions extends BackupKeys {
  /** Directory of the backup, `<base_dir>/<server>/backup/<label>`. */
  readonly backup: string;
  /** The data directory; absent or empty. */
  readonly target: string;
  /** One for each tablespace of the backup that is not in place. */
  readonly tablespaces: readonly TablespaceDestination[];
  /** Threads, 1 to 256. */
  readonly workers: number;
  /** Restore files that no list proves; without it they are an error. */
  readonly allowUnproven?: boolean | undefined;
  /** Look at page checksums on the way; faults are warnings. */
  readonly checkPages?: boolean | undefined;
}

/** What a restore made. Sizes are plain bytes. */
export interface RestoreReport {
  readonly files: number;
  readonly bytes: number;
  /** Files restored without proof (only with `allowUnproven`). */
  readonly unproven: number;
  /** Pages looked at; those certainly damaged; those changed during the backup, which replay of WAL replaces. */
  readonly pages: number;
  readonly damagedPages: number;
  readonly replayedPages: number;
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/** Plain bytes of one tablespace. */
export interface PlannedTablespace {
  readonly oid: string;
  /** Its directory in the backup, `tblspc_<name>`. */
  readonly directory: string;
  readonly bytes: number;
  readonly files: number;
}

/** What a restore will write. Sizes are plain bytes. */
export interface RestorePlan {
  readonly label: string;
  readonly files: number;
  /** All bytes. */
  readonly bytes: number;
  /** Bytes below the data directory, tablespaces excluded. */
  readonly baseBytes: number;
  readonly tablespaces: readonly PlannedTablespace[];
  /** Bytes in `pg_wal`, contained in `baseBytes`. */
  readonly walBytes: number;
  readonly biggestFile: number;
  /** Number of files that no list proves, and the first hundred of them. */
  readonly unproven: number;
  readonly unprovenPaths: readonly string[];
  /** Files that a list names and that are not stored: the first hundred. */
  readonly missing: readonly string[];
  /** Decimal. */
  readonly systemIdentifier?: string | undefined;
  readonly majorVersion?: number | undefined;
  readonly blockSize?: number | undefined;
  readonly walSegmentSize?: number | undefined;
  readonly dataChecksums?: boolean | undefined;
  readonly encrypted: boolean;
  readonly warnings: readonly string[];
}

interface RestoreAddon {
  planRestore(directory: string, keys: object): Promise<RestorePlan>;
  restoreBackup(options: object, job: NativeJob): Promise<RestoreReport>;
}

const addon = () => loadAddon<RestoreAddon>();

/** The keys as the addon takes them: what is absent is left out. */
export function keysOf(keys: BackupKeys): object {
  const { masterSecret, masterPassword, encryption } = keys;
  return {
    ...(masterSecret === undefined ? {} : { masterSecret }),
    ...(masterPassword === undefined ? {} : { masterPassword }),
    ...(encryption === undefined ? {} : { encryption }),
  };
}

/**
 * Computes what restoring a backup will write. Without its key the sizes of an encrypted backup are told as far as
 * lists have them.
 * @throws PgmonetaError IO, CORRUPT when the lists of the backup cannot be read
 */
export function planRestore(directory: string, masterSecret?: Buffer): Promise<RestorePlan> {
  return native(() => addon().planRestore(directory, keysOf({ masterSecret })));
}

/**
 * Restores a backup: every file is read once, checked against the strongest proof at hand and written; the control file
 * comes last, when all else is on disk.
 * @throws PgmonetaError USAGE when the target is not empty or a key or destination is missing; CORRUPT with the damaged
 * files; IO; NO_SPACE; CANCELLED. The target then has no control file, and is the caller's to remove.
 */
export function restoreBackup(options: RestoreOptions, control: JobControl = {}): Promise<RestoreReport> {
  const { backup, target, workers, allowUnproven, checkPages } = options;
  const order = {
    backup,
    target,
    tablespaces: options.tablespaces.map(({ oid, directory, link }) => ({ oid, directory, link })),
    keys: keysOf(options),
    workers,
    allowUnproven: allowUnproven ?? false,
    checkPages: checkPages ?? false,
  };
  return runJob(control, (job) => addon().restoreBackup(order, job));
}
