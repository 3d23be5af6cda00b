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

/** A cluster that files are taken from where they are already what they should be. No server may run on it. */
export interface ExistingCluster {
  /** Its data directory. It is read and never written. */
  readonly directory: string;
  /** Its tablespaces that are not in place. */
  readonly tablespaces: readonly { readonly oid: string; readonly directory: string }[];
  /**
   * Says that it was made by a restore of a backup of the chain, and no server ran on it since. Then only what is newer
   * than that is read of files of changed blocks.
   */
  readonly base?: ClusterBase | undefined;
}

/** The backup that a cluster was made of. */
export interface ClusterBase {
  /** Its directory, as in the list of backups. */
  readonly backup: string;
  /** Nanoseconds since 1970: a file that was changed later is not trusted. */
  readonly stamp: bigint;
}

/** What is restored where. */
export interface RestoreOptions {
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
  readonly existing?: ExistingCluster | undefined;
}

/** Files and their plain bytes. */
export interface Tally {
  readonly files: number;
  readonly bytes: number;
}

/** What is taken from an existing cluster, and what is written. Of the names there are the first hundred. */
export interface ReuseReport {
  /** As they should be already: linked into the new cluster. */
  readonly kept: Tally;
  /** Those of them that are copied, as they cannot be linked. */
  readonly copied: Tally;
  /** The existing cluster has something else there. */
  readonly rewritten: Tally;
  /** The existing cluster has nothing there. */
  readonly added: Tally;
  /** What the existing cluster has and the new one has not. */
  readonly removed: Tally;
  /** Bytes of what is copied, rewritten and added, by the OID in its path; the rest has an empty one. */
  readonly written: readonly { readonly oid: string; readonly bytes: number }[];
  readonly rewrittenPaths: readonly string[];
  readonly addedPaths: readonly string[];
  readonly removedPaths: readonly string[];
  /** Symbolic links of the existing cluster, but for those of its tablespaces: the new one has none of them. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
}

/** What a restore made. Sizes are plain bytes. */
export interface RestoreReport {
  readonly files: number;
  readonly bytes: number;
  /** Files that were combined from several backups. */
  readonly combined: number;
  /** Files restored without proof (only with `allowUnproven`). */
  readonly unproven: number;
  /** Pages looked at; those certainly damaged; those changed during the backup, which replay of WAL replaces. */
  readonly pages: number;
  readonly damagedPages: number;
  readonly replayedPages: number;
  readonly warnings: readonly string[];
  readonly seconds: number;
  /** There when files were taken from an existing cluster. */
  readonly reuse?: ReuseReport | undefined;
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
  /** Files that are combined from several backups. */
  readonly combined: number;
  readonly warnings: readonly string[];
}

interface NativeChain {
  plan(): Promise<RestorePlan>;
  restore(options: object, job: NativeJob): Promise<RestoreReport>;
  compare(options: object, job: NativeJob): Promise<ReuseReport>;
}

interface RestoreAddon {
  openChain(directories: readonly string[], keys: object, allowMixedChecksums: boolean): Promise<NativeChain>;
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

/** How a chain is opened. */
export interface ChainOptions extends BackupKeys {
  /** Accept that page checksums were enabled between two backups. */
  readonly allowMixedChecksums?: boolean | undefined;
}

/**
 * A backup with all that it builds on. Its lists are read once, whatever is done with it: a large cluster has millions
 * of entries. Nothing that it is made of may be removed while it is in use.
 */
export class BackupChain {
  readonly #native: NativeChain;

  private constructor(opened: NativeChain) {
    this.#native = opened;
  }

  /**
   * Reads the lists of a backup and of what it builds on and checks that they belong together.
   * @param directories `<base_dir>/<server>/backup/<label>` of the backup, then of what it builds on, down to the full one
   * @throws PgmonetaError IO, CORRUPT when lists cannot be read, or, naming backup and file, when they do not belong
   * together or something that is needed is missing; USAGE when a chain is encrypted and its key is missing
   */
  static async open(directories: readonly string[], options: ChainOptions = {}): Promise<BackupChain> {
    const allowMixedChecksums = options.allowMixedChecksums ?? false;
    return new BackupChain(await native(() => addon().openChain(directories, keysOf(options), allowMixedChecksums)));
  }

  /**
   * Computes what restoring the backup will write. Without its key the sizes of an encrypted full backup are told as far
   * as lists have them.
   * @throws PgmonetaError IO, CORRUPT when a file of which no list tells the size cannot be read
   */
  plan(): Promise<RestorePlan> {
    return native(() => this.#native.plan());
  }

  /**
   * Restores the backup: every file is read once, checked against the strongest proof at hand and written; those of
   * which it has only changed blocks are combined on the way. The control file comes last, when all else is on disk.
   * @throws PgmonetaError USAGE when the target is not empty or a key or destination is missing; CORRUPT with the
   * damaged files; IO; NO_SPACE; CANCELLED. The target then has no control file, and is the caller's to remove.
   */
  restore(options: RestoreOptions, control: JobControl = {}): Promise<RestoreReport> {
    const order = orderOf(options);
    return runJob(control, (job) => this.#native.restore(order, job));
  }

  /**
   * Finds out what a restore beside an existing cluster would keep and what it would write. Nothing is changed; what has
   * no known digest is read from the backup up to its first difference.
   * @throws PgmonetaError USAGE without an existing cluster; as {@link restore}
   */
  compare(options: RestoreOptions, control: JobControl = {}): Promise<ReuseReport> {
    const order = orderOf(options);
    return runJob(control, (job) => this.#native.compare(order, job));
  }
}

/** The options as the addon takes them. */
function orderOf({ target, tablespaces, workers, allowUnproven, checkPages, existing }: RestoreOptions): object {
  return {
    target,
    tablespaces: tablespaces.map(({ oid, directory, link }) => ({ oid, directory, link })),
    workers,
    allowUnproven: allowUnproven ?? false,
    checkPages: checkPages ?? false,
    ...(existing === undefined ? {} : { existing }),
  };
}
