import { PgmonetaError } from '../errors/index.js';
import { native, nativeSync } from './errors.js';
import { type JobControl, type NativeJob, runJob } from './job.js';
import { loadAddon } from './load.js';
import { type BackupKeys, keysOf } from './restore.js';

/** What a receiver is asked to do. */
export interface ReceiverOptions {
  /** The staging directory; created when it is missing, and without `data/` in it. */
  readonly directory: string;
  readonly codec: 'none' | 'gzip' | 'zstd' | 'lz4' | 'bzip2';
  /** Clamped to what the codec knows. */
  readonly level: number;
  /** Seals stored files: a canonical word such as `aes-256-gcm`, and the 64 bytes derived from the master key. */
  readonly cipher?: { readonly mode: string; readonly masterSecret: Buffer };
  /** Threads that digest, encode and write; at least 1. */
  readonly workers: number;
  /** Bytes in flight above which `push` asks to pause; 64 MiB when absent. */
  readonly budget?: number;
  /** The checksums that the manifest was asked to have: `crc32c`, `sha512`, ..., or `none`. */
  readonly manifestChecksums: string;
  /** How the server compresses the archives, when it does. */
  readonly serverCompression?: 'gzip' | 'zstd' | 'lz4';
  /** The backup whose unchanged files become hard links. */
  readonly link?: { readonly directory: string; readonly label: string };
  /** The backup is incremental: bytes of a block, and blocks of a file of a relation. */
  readonly incremental?: { readonly blockSize: number; readonly relsegSize: number };
}

/** Counters of a receiver; bytes and files. */
export interface ReceiverProgress {
  /** Bytes as the server sent them. */
  readonly receivedBytes: number;
  /** Plain bytes of regular files. */
  readonly plainBytes: number;
  /** Bytes written, links not among them. */
  readonly storedBytes: number;
  /** Complete files. */
  readonly files: number;
  /** How many of them are links. */
  readonly linkedFiles: number;
  /** Stored bytes that links saved. */
  readonly linkedBytes: number;
}

/** WAL that the backup needs, as PostgreSQL's manifest tells it. */
export interface ReceivedWalRange {
  readonly timeline: number;
  /** `X/X`. */
  readonly startLsn: string;
  /** `X/X`. */
  readonly endLsn: string;
}

/** A backup that is complete and agrees with PostgreSQL's manifest, but is not durable yet. All sizes in bytes. */
export interface ReceivedSummary {
  /** Regular files, without PostgreSQL's manifest. */
  readonly files: number;
  readonly plainBytes: number;
  /** As stored, linked files included. */
  readonly storedBytes: number;
  /** Size of the largest file when it is restored. */
  readonly biggestFile: number;
  /** What `data/` takes, each file rounded up to whole blocks of the file system. */
  readonly backupSize: number;
  /** What `data/` without `pg_wal` takes when restored, rounded in the same way. */
  readonly restoreSize: number;
  /** The same for all tablespaces together. */
  readonly tablespaceBackupSize: number;
  /** The same for all tablespaces together. */
  readonly tablespaceRestoreSize: number;
  /** Names of the WAL segments in the backup, ascending. */
  readonly walFiles: readonly string[];
  /** Text of `backup_label`. */
  readonly backupLabel: string;
  /** Files that hold changed blocks only. */
  readonly incrementalFiles: number;
  readonly linkedFiles: number;
  /** Stored bytes that links saved. */
  readonly linkedBytes: number;
  /** Why nothing could be linked although it was asked for. */
  readonly linkRefused?: string;
  /** Decimal; from PostgreSQL 17 on. */
  readonly systemIdentifier?: string;
  readonly walRanges: readonly ReceivedWalRange[];
  /** Content of `global/pg_control`. */
  readonly pgControl: Buffer;
}

/** A backup of which everything is on disk, under the name of the staging directory. */
export interface FinishedSummary {
  /** Lines of `backup.sha512`. */
  readonly files: number;
  /** Seconds that writing the lists took. */
  readonly listsElapsed: number;
  /** Seconds that making everything durable took. */
  readonly syncElapsed: number;
}

/** What was rolled up. */
export interface RollUpReport {
  readonly files: number;
  /** Plain bytes. */
  readonly bytes: number;
  /** Files that were combined from several backups. */
  readonly combined: number;
  readonly warnings: readonly string[];
}

interface NativeReceiver {
  beginArchive(tablespace: { oid: string; name: string } | null): void;
  push(chunk: Uint8Array): boolean;
  drained(): Promise<void>;
  endArchive(): void;
  pushManifest(chunk: Uint8Array): void;
  progress(): ReceiverProgress;
  rollUp(
    directories: readonly string[],
    keys: object,
    allowMixedChecksums: boolean,
    job: NativeJob,
  ): Promise<RollUpReport>;
  check(): Promise<ReceivedSummary>;
  finish(header: string, backupInfo: string): Promise<FinishedSummary>;
  abort(): Promise<void>;
}

interface ReceiverAddon {
  NativeReceiver: new (options: ReceiverOptions) => NativeReceiver;
}

const KNOWN_OPTIONS: ReadonlySet<string> = new Set<keyof ReceiverOptions>([
  'directory',
  'codec',
  'level',
  'cipher',
  'workers',
  'budget',
  'manifestChecksums',
  'serverCompression',
  'link',
  'incremental',
]);

/**
 * Receives one base backup in one pass: the archives of the server go in, and files come out that are compressed,
 * sealed, hashed, checked against PostgreSQL's manifest and durable.
 *
 * Order of calls: for each archive `beginArchive`, `push` (waiting for `drained` when it answers false) and
 * `endArchive`; `pushManifest`; `check`; `finish`. At any time `abort`. An error of any thread is thrown by the next
 * call; after an error only `abort` is left.
 */
export class BackupReceiver {
  readonly #native: NativeReceiver;

  /** @throws PgmonetaError USAGE, IO, NO_SPACE */
  constructor(options: ReceiverOptions) {
    const unknown = Object.keys(options).find((key) => !KNOWN_OPTIONS.has(key));
    if (unknown !== undefined) throw new PgmonetaError('USAGE', `a receiver has no option ${unknown}`);
    const { NativeReceiver } = loadAddon<ReceiverAddon>();
    this.#native = nativeSync(() => new NativeReceiver(options));
  }

  /** The archive of a tablespace begins, or with `null` that of the data directory. */
  beginArchive(tablespace: { readonly oid: string; readonly name: string } | null): void {
    nativeSync(() => this.#native.beginArchive(tablespace));
  }

  /**
   * Takes the next bytes of the archive; the chunk may be reused afterwards.
   * @returns false when the sender should wait for `drained`
   */
  push(chunk: Uint8Array): boolean {
    return nativeSync(() => this.#native.push(chunk));
  }

  /** Resolves when less than half of the budget is in flight, or when the receiver has failed. */
  drained(): Promise<void> {
    return native(() => this.#native.drained());
  }

  /** The archive is complete. */
  endArchive(): void {
    nativeSync(() => this.#native.endArchive());
  }

  /** Takes the next bytes of PostgreSQL's manifest. */
  pushManifest(chunk: Uint8Array): void {
    nativeSync(() => this.#native.pushManifest(chunk));
  }

  /** Counters at this moment. */
  progress(): ReceiverProgress {
    return nativeSync(() => this.#native.progress());
  }

  /**
   * Takes the image of a chain of backups in place of what a server sends: the only call before `check`.
   * @param directories newest first; when the oldest is incremental, so is what comes out
   * @throws PgmonetaError CORRUPT naming backup and file, USAGE, IO, NO_SPACE, CANCELLED
   */
  rollUp(directories: readonly string[], keys: BackupKeys, control: JobControl = {}): Promise<RollUpReport> {
    // Pages without a checksum must not get into a backup that does not show it: a mixed chain stays a chain.
    return runJob(control, (job) => this.#native.rollUp(directories, keysOf(keys), false, job));
  }

  /**
   * Everything was sent: waits for the threads and compares every file with PostgreSQL's manifest.
   * @throws PgmonetaError CORRUPT naming the first files that are missing, surplus or different; IO, NO_SPACE, CANCELLED
   */
  check(): Promise<ReceivedSummary> {
    return native(() => this.#native.check());
  }

  /**
   * Writes `backup.json`, `backup.manifest`, `backup.info` and `backup.sha512` and makes the staging directory durable.
   * @param headerJson the `Backup` object of `backup.json`
   * @param backupInfo the text of `backup.info`
   */
  finish(headerJson: string, backupInfo: string): Promise<FinishedSummary> {
    return native(() => this.#native.finish(headerJson, backupInfo));
  }

  /** Stops all work, even a running check, and removes what this receiver has made. */
  abort(): Promise<void> {
    return native(() => this.#native.abort());
  }
}
