import { join } from 'node:path';
import type { EffectiveServer } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import { freeSpace } from '../native/fs.js';
import { BackupReceiver, type ReceivedSummary } from '../native/receiver.js';
import {
  connectServer,
  formatLsn,
  readFacts,
  requireReady,
  runBaseBackup,
  type ServerFacts,
} from '../postgres/index.js';
import { formatBackupInfo } from '../repository/backup-info.js';
import { isValid, type KnownBackup, listBackups } from '../repository/catalogue.js';
import { codecOf } from '../repository/codes.js';
import { renameDurable } from '../repository/durable.js';
import { reserveLabel } from '../repository/label.js';
import type { ServerPaths } from '../repository/paths.js';
import { parseBackupLabel } from './backup-label.js';
import { type BackupOutcome, describeBackup, jsonHeader } from './describe.js';
import { ReceiverSink } from './sink.js';
import { checkSpace } from './space.js';
import type { StreamedBackup } from './stream.js';
import { checkWalRange } from './wal-range.js';

/** A full backup to be taken. */
export interface FullBackupOrder {
  readonly server: EffectiveServer;
  readonly password: string | undefined;
  readonly paths: ServerPaths;
  readonly compression: string;
  readonly compressionLevel: number;
  readonly encryption: string;
  readonly masterSecret: Buffer | undefined;
  /** Threads; at least 1. */
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: (phase: string, done: number, total: number) => void;
  readonly warn: (message: string) => void;
}

/** What is known before the stream starts. */
export interface BackupStart {
  readonly order: FullBackupOrder;
  readonly facts: ServerFacts;
  readonly label: string;
  readonly directory: string;
  /** The newest valid backup, whose unchanged files are linked. */
  readonly previous: KnownBackup | undefined;
  readonly begun: number;
}

/**
 * Takes a full backup: one pass from the socket to the disk, checked against the server's manifest, made durable,
 * and published by a rename. Whatever goes wrong before that rename leaves no backup.
 */
export async function takeFullBackup(order: FullBackupOrder): Promise<BackupOutcome> {
  const begun = Date.now();
  const facts = await readFacts(order.server, order.password, order.signal);
  requireReady(facts, 'backup', order.server.name);
  if (order.compression.startsWith('server-')) requireReady(facts, 'server-compression', order.server.name);
  const backups = await listBackups(order.paths);
  const previous = backups.findLast((backup) => isValid(backup) && backup.info?.majorVersion === facts.majorVersion);
  const { label, directory } = await reserveLabel(order.paths, backups.at(-1)?.label);
  const start: BackupStart = { order, facts, label, directory, previous: previous as KnownBackup | undefined, begun };
  const receiver = openReceiver(start);
  try {
    const sink = new ReceiverSink(
      receiver,
      facts.tablespaces,
      (announced) => refuseWithoutSpace(start, announced),
      order.onProgress,
    );
    return await finish(start, receiver, await stream(start, sink));
  } catch (error) {
    await receiver.abort().catch(() => {});
    throw error;
  }
}

/** Runs BASE_BACKUP into the sink. */
async function stream({ order, label }: BackupStart, sink: ReceiverSink): Promise<StreamedBackup> {
  const { server, compression } = order;
  const connection = await connectServer(server, order.password, { replication: true, signal: order.signal });
  try {
    const codec = codecOf(compression);
    const result = await runBaseBackup(
      connection,
      {
        label: `pgmoneta_${label}`,
        maxRateBytes: server.max_rate,
        manifestChecksums: server.manifest_checksums,
        progress: true,
        checkpoint: 'fast',
        ...(compression.startsWith('server-') && codec !== 'none' && codec !== 'bzip2'
          ? { serverCompression: { algorithm: codec, level: order.compressionLevel } }
          : {}),
        signal: order.signal,
      },
      sink,
    );
    for (const note of result.notes) order.warn(note);
    return { ...result, stopped: new Date() };
  } finally {
    await connection.close();
  }
}

function openReceiver({ order, directory, previous }: BackupStart): BackupReceiver {
  const { compression, encryption, masterSecret } = order;
  const codec = codecOf(compression);
  const sameForm = previous !== undefined;
  return new BackupReceiver({
    directory,
    codec,
    level: order.compressionLevel,
    workers: order.workers,
    manifestChecksums: order.server.manifest_checksums,
    ...(encryption === 'none'
      ? {}
      : { cipher: { mode: encryption, masterSecret: requireSecret(masterSecret, encryption) } }),
    ...(compression.startsWith('server-') && codec !== 'none'
      ? { serverCompression: codec as 'gzip' | 'zstd' | 'lz4' }
      : {}),
    ...(sameForm ? { link: { directory: previous.directory, label: previous.label } } : {}),
  });
}

function requireSecret(secret: Buffer | undefined, encryption: string): Buffer {
  if (secret !== undefined) return secret;
  throw new PgmonetaError('MASTER_KEY_INVALID', `encryption = ${encryption} needs a master key, and there is none`);
}

async function refuseWithoutSpace(start: BackupStart, announced: number): Promise<void> {
  const { order, directory, previous } = start;
  const { available } = await freeSpace(directory);
  const compressed = codecOf(order.compression) !== 'none';
  checkSpace({ announced, compressed, previous: previous?.info, available }, order.paths.root);
  if (announced > available) {
    order.warn(
      `the server announces ${announced} bytes, ${available} are free: the backup fits only if it shrinks as expected`,
    );
  }
}

/** Checks, describes, makes durable and publishes what was received. */
async function finish(start: BackupStart, receiver: BackupReceiver, streamed: StreamedBackup): Promise<BackupOutcome> {
  const { order, label, directory } = start;
  order.onProgress('Manifest', 0, 0);
  const received = await receiver.check();
  if (received.linkRefused !== undefined) order.warn(received.linkRefused);
  order.signal.throwIfAborted();
  const labelFile = parseBackupLabel(received.backupLabel);
  checkIdentity(start, received, streamed, labelFile.startLsn);
  checkWalRange(streamed, start.facts.walSegmentSize, received.walFiles);
  const outcome = describeBackup(start, received, streamed, labelFile);
  order.onProgress('Publish', 0, 0);
  await receiver.finish(jsonHeader(start, received, streamed, labelFile), formatBackupInfo(outcome.info));
  order.signal.throwIfAborted();
  await renameDurable(directory, join(order.paths.backups, label));
  return outcome;
}

/** The stream, its backup_label, its manifest and its pg_control have to speak of one and the same server. */
function checkIdentity(
  { facts, order }: BackupStart,
  received: ReceivedSummary,
  streamed: StreamedBackup,
  labelLsn: string,
): void {
  const refuse = (what: string, found: string, expected: string): never => {
    throw new PgmonetaError(
      'CORRUPT',
      `${what} of the backup of ${order.server.name} is ${found}, but ${expected} was expected`,
      {
        hint: 'take the backup again; if it happens again, something between server and pgmoneta changes data',
      },
    );
  };
  // The first eight bytes of pg_control, in the byte order of the server, which is ours.
  const controlIdentifier = received.pgControl.readBigUInt64LE(0).toString();
  if (controlIdentifier !== facts.systemIdentifier) {
    refuse('the system identifier in global/pg_control', controlIdentifier, facts.systemIdentifier);
  }
  if (received.systemIdentifier !== undefined && received.systemIdentifier !== facts.systemIdentifier) {
    refuse('the system identifier in the manifest', received.systemIdentifier, facts.systemIdentifier);
  }
  if (labelLsn !== formatLsn(streamed.startLsn)) refuse('START WAL LOCATION', labelLsn, formatLsn(streamed.startLsn));
}
