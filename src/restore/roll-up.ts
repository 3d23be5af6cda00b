import { link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { type BackupHeader, readBackupHeader, readPgControl } from '../native/manifest.js';
import { BackupReceiver, type ReceivedSummary, type RollUpReport } from '../native/receiver.js';
import { type BackupInfo, formatBackupInfo } from '../repository/backup-info.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { type CodecName, cipherOfCode, codecOf, codecOfCode } from '../repository/codes.js';

/** What is to be rolled up, and where to. */
export interface RollUpOrder {
  /** The backup that stays, under its label. */
  readonly child: KnownBackup;
  /** What it builds on and what will go, its parent first; at least one. */
  readonly ancestors: readonly KnownBackup[];
  /** The new stored backup, which is not there yet; on the file system of the repository. */
  readonly directory: string;
  /** Threads; at least 1. */
  readonly workers: number;
  readonly masterSecret: Buffer | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** What a roll-up made. */
export interface RollUpResult {
  readonly info: BackupInfo;
  readonly report: RollUpReport;
}

/**
 * Makes one stored backup of a backup and those that it builds on: compressed and encrypted as the child is, complete,
 * durable and proved, beside what there is. Nothing is replaced or removed: that is the caller's, by an exchange. With a
 * full backup at the end of `ancestors` the child becomes a full one, else it builds on what the last of them built on.
 * On failure nothing is left of it.
 * @throws PgmonetaError CORRUPT naming backup and file, USAGE when the key is missing, IO, NO_SPACE, CANCELLED
 */
export async function rollUp(order: RollUpOrder): Promise<RollUpResult> {
  const { child, ancestors, directory, workers, masterSecret, signal, onProgress } = order;
  const [last] = ancestors.slice(-1);
  if (last === undefined) throw new RangeError('a roll-up is of two backups at least');
  const header = await readBackupHeader(child.directory).catch((): BackupHeader => ({}));
  const receiver = new BackupReceiver({
    directory,
    ...formOf(child, header, masterSecret),
    workers,
    link: { directory: last.directory, label: last.label },
    incremental: { blockSize: header.blockSize ?? 8192, relsegSize: header.relsegSize ?? 131_072 },
  });
  try {
    const directories = [child, ...ancestors].map((backup) => backup.directory);
    const report = await receiver.rollUp(
      directories,
      { masterSecret },
      { signal, onProgress: ({ bytesDone, bytesTotal }) => onProgress(bytesDone, bytesTotal) },
    );
    const received = await receiver.check();
    await keepExtra(child.directory, directory);
    const info = describe(child.info, last.info, received);
    await receiver.finish(JSON.stringify(newHeader(order, header, info, received)), formatBackupInfo(info));
    signal.throwIfAborted();
    return { info, report };
  } catch (error) {
    await receiver.abort();
    throw error;
  }
}

/** How the files of the child are stored. */
function formOf(child: KnownBackup, header: BackupHeader, masterSecret: Buffer | undefined) {
  const codec: CodecName =
    header.compression === undefined ? (codecOfCode(child.info.compression) ?? 'none') : codecOf(header.compression);
  const mode = cipherOfCode(child.info.encryption) ?? 'none';
  if (mode !== 'none' && masterSecret === undefined) {
    throw new PgmonetaError('USAGE', `backup ${child.label} is encrypted, and there is no master key`, {
      hint: 'install the master key that the backup was made with in ~/.pgmoneta/master.key',
    });
  }
  return {
    codec,
    level: header.compressionLevel ?? 3,
    ...(mode === 'none' || masterSecret === undefined ? {} : { cipher: { mode, masterSecret } }),
    // pgmoneta in C asks for SHA-512
    manifestChecksums: header.manifestChecksums ?? 'sha512',
  };
}

function describe(child: BackupInfo, last: BackupInfo, received: ReceivedSummary): BackupInfo {
  return {
    ...child,
    backupSize: received.backupSize + received.tablespaceBackupSize,
    restoreSize: received.restoreSize + received.tablespaceRestoreSize,
    biggestFile: received.biggestFile,
    incremental: last.incremental,
    parent: last.incremental ? last.parent : '',
  };
}

/** The header of the child; for a backup of pgmoneta in C, which has none, what can be told. */
function newHeader(
  { child, ancestors }: RollUpOrder,
  header: BackupHeader,
  info: BackupInfo,
  received: ReceivedSummary,
): BackupHeader {
  const { parent: _, ...rest } = header.label === undefined ? headerOf(child.info, received) : header;
  return {
    ...rest,
    kind: info.incremental ? 'incremental' : 'full',
    ...(info.incremental ? { parent: info.parent } : {}),
    plainBytes: received.plainBytes,
    storedBytes: received.storedBytes,
    rolledUp: [...(Array.isArray(header.rolledUp) ? header.rolledUp : []), ...ancestors.map(({ label }) => label)],
  };
}

function headerOf(info: BackupInfo, received: ReceivedSummary): BackupHeader {
  const control = readPgControl(received.pgControl);
  return {
    label: info.label,
    systemIdentifier: control.systemIdentifier,
    majorVersion: info.majorVersion,
    minorVersion: info.minorVersion,
    startLsn: info.startLsn,
    endLsn: info.endLsn,
    checkpointLsn: info.checkpointLsn,
    startTimeline: info.startTimeline,
    endTimeline: info.endTimeline,
    compression: codecOfCode(info.compression) ?? 'none',
    encryption: cipherOfCode(info.encryption) ?? 'none',
    manifestChecksums: 'sha512',
    blockSize: control.blockSize,
    relsegSize: control.relsegSize,
    walSegmentSize: control.walSegmentSize,
    dataChecksums: control.dataChecksumVersion !== 0,
    tablespaces: info.tablespaces.map(({ oid, directory, path }) => ({
      oid,
      name: directory.slice('tblspc_'.length),
      path,
    })),
  };
}

/** The extra files of the child become those of the new backup, by links: they are never changed in place. */
async function keepExtra(from: string, to: string): Promise<void> {
  const below = 'extra';
  const entries = await readdir(join(from, below), { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, source.slice(from.length));
    await mkdir(join(target, '..'), { recursive: true, mode: 0o700 });
    await link(source, target);
  }
}
