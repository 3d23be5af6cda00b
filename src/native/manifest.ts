import { native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';
import type { ReceivedWalRange } from './receiver.js';

/** What `global/pg_control` says. LSNs are texts of the form `0/2000028`. */
export interface PgControl {
  /** Decimal. */
  readonly systemIdentifier: string;
  /** 1300 (PostgreSQL 13 to 16), 1700 or 1800. */
  readonly controlVersion: number;
  readonly catalogVersion: number;
  /** Absent for a catalogue version that is not known. */
  readonly majorVersion?: number | undefined;
  /** 0 starting up, 1 shut down, 2 shut down in recovery, 3 shutting down, 4, 5 in recovery, 6 in production. */
  readonly state: number;
  readonly checkpointLsn: string;
  readonly redoLsn: string;
  readonly timeline: number;
  readonly previousTimeline: number;
  readonly minRecoveryLsn: string;
  readonly minRecoveryTimeline: number;
  readonly backupStartLsn: string;
  readonly backupEndLsn: string;
  readonly backupEndRequired: boolean;
  readonly walLevel: number;
  /** Bytes of a page. */
  readonly blockSize: number;
  /** Pages of a segment of a relation. */
  readonly relsegSize: number;
  readonly walBlockSize: number;
  /** Bytes of a WAL segment. */
  readonly walSegmentSize: number;
  /** 0 when the cluster has no page checksums. */
  readonly dataChecksumVersion: number;
}

/** The `Backup` object of `backup.json`; releases may add keys. */
export interface BackupHeader {
  readonly label?: string;
  readonly server?: string;
  /** Decimal. */
  readonly systemIdentifier?: string;
  readonly majorVersion?: number;
  readonly startLsn?: string;
  readonly endLsn?: string;
  readonly startTimeline?: number;
  readonly endTimeline?: number;
  /** ISO 8601, UTC. */
  readonly startTime?: string;
  /** ISO 8601, UTC. */
  readonly stopTime?: string;
  readonly compression?: string;
  readonly compressionLevel?: number;
  readonly encryption?: string;
  readonly manifestChecksums?: string;
  readonly blockSize?: number;
  readonly relsegSize?: number;
  readonly walSegmentSize?: number;
  readonly productVersion?: string;
  readonly tablespaces?: readonly { readonly oid: string; readonly name: string; readonly path: string }[];
  readonly [key: string]: unknown;
}

/** What the `backup_manifest` of a stored backup says beside its files. */
export interface StoredManifest {
  /** Decimal; from PostgreSQL 17 on. */
  readonly systemIdentifier?: string;
  readonly files: number;
  /** Newest timeline first. */
  readonly walRanges: readonly ReceivedWalRange[];
}

interface ManifestAddon {
  checkStoredManifest(directory: string): Promise<StoredManifest>;
  readPgControl(bytes: Buffer): PgControl;
  readBackupHeader(directory: string): Promise<string>;
  replaceHashLine(list: string, path: string, sha512: string): Promise<boolean>;
}

const addon = () => loadAddon<ManifestAddon>();

/**
 * Reads a control file and checks its CRC.
 * @throws PgmonetaError CORRUPT when it is damaged, too short or of an unknown version
 */
export function readPgControl(bytes: Buffer): PgControl {
  return nativeSync(() => addon().readPgControl(bytes));
}

/**
 * Reads the header of the `backup.json` in the directory of a backup.
 * @throws PgmonetaError IO when there is none, CORRUPT
 */
export async function readBackupHeader(directory: string): Promise<BackupHeader> {
  const text = await native(() => addon().readBackupHeader(directory));
  return JSON.parse(text) as BackupHeader;
}

/**
 * Proves that the `backup_manifest` of a backup is what was stored: by its line in `backup.sha512`, and by PostgreSQL's
 * own checksum in it.
 * @param directory of the backup
 * @throws PgmonetaError CORRUPT with what differs, IO
 */
export function checkStoredManifest(directory: string): Promise<StoredManifest> {
  return native(() => addon().checkStoredManifest(directory));
}

/**
 * Replaces the line of one file in a `backup.sha512` (or adds it), atomically and durably.
 * @param path relative to the directory of the backup
 * @param sha512 of the stored bytes, 128 hexadecimal digits
 * @throws PgmonetaError CORRUPT when the list cannot be read, IO, NO_SPACE
 */
export async function replaceHashLine(list: string, path: string, sha512: string): Promise<void> {
  await native(() => addon().replaceHashLine(list, path, sha512));
}
