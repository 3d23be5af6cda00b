import type { EffectiveServer } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import { freeSpace } from '../native/fs.js';
import { BackupReceiver } from '../native/receiver.js';
import { connectServer, requireReady, runBaseBackup, type ServerFacts } from '../postgres/index.js';
import { type KnownBackup, listBackups } from '../repository/catalogue.js';
import { codecOf } from '../repository/codes.js';
import { reserveLabel } from '../repository/label.js';
import type { ServerPaths } from '../repository/paths.js';
import type { BackupOutcome } from './describe.js';
import { finishBackup } from './finish.js';
import { type Parent, uploadParent } from './incremental.js';
import { lastOfKind, linkSource } from './neighbours.js';
import { ReceiverSink } from './sink.js';
import { checkSpace } from './space.js';
import type { StreamedBackup } from './stream.js';

/** A backup to be taken. */
export interface BackupOrder {
  readonly server: EffectiveServer;
  readonly facts: ServerFacts;
  /**
   * What the backup is incremental to; a full one has none. It stays while the backup is taken, because whoever removes
   * backups needs the writer lock that the caller holds.
   */
  readonly parent: Parent | undefined;
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
  readonly order: BackupOrder;
  readonly label: string;
  readonly directory: string;
  /** The backup whose unchanged files are linked. */
  readonly previous: KnownBackup | undefined;
  /** The newest valid backup of the same kind, which tells what this one may take. */
  readonly alike: KnownBackup | undefined;
  readonly begun: number;
}

/**
 * Takes a backup, full or incremental: one pass from the socket to the disk, checked against the server's manifest,
 * made durable, and published by a rename. Whatever goes wrong before that rename leaves no backup.
 */
export async function takeBackup(order: BackupOrder): Promise<BackupOutcome> {
  const begun = Date.now();
  const { facts, server, paths, parent } = order;
  requireReady(facts, 'backup', server.name);
  if (order.compression.startsWith('server-')) requireReady(facts, 'server-compression', server.name);
  const backups = await listBackups(paths);
  const previous = parent?.backup ?? linkSource(backups, facts.majorVersion);
  const alike = lastOfKind(backups, facts.majorVersion, parent !== undefined);
  const { label, directory } = await reserveLabel(paths, backups.at(-1)?.label);
  const start: BackupStart = { order, label, directory, previous, alike, begun };
  const receiver = openReceiver(start);
  try {
    const sink = new ReceiverSink({
      receiver,
      tablespaces: facts.tablespaces,
      checkSpace: (announced) => refuseWithoutSpace(start, announced),
      onProgress: order.onProgress,
      incremental: parent !== undefined,
    });
    return await finishBackup(start, receiver, await stream(start, sink));
  } catch (error) {
    await receiver.abort().catch(() => {});
    throw error;
  }
}

/** Runs BASE_BACKUP into the sink. */
async function stream({ order, label }: BackupStart, sink: ReceiverSink): Promise<StreamedBackup> {
  const { server, compression, parent } = order;
  const connection = await connectServer(server, order.password, { replication: true, signal: order.signal });
  try {
    if (parent !== undefined) {
      order.onProgress('Upload manifest', 0, 0);
      await uploadParent(connection, parent, order.signal);
    }
    const codec = codecOf(compression);
    const result = await runBaseBackup(
      connection,
      {
        label: `pgmoneta_${label}`,
        maxRateBytes: server.max_rate,
        manifestChecksums: server.manifest_checksums,
        progress: true,
        checkpoint: 'fast',
        incremental: parent !== undefined,
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
  const { compression, encryption, masterSecret, facts } = order;
  const codec = codecOf(compression);
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
    ...(previous === undefined ? {} : { link: { directory: previous.directory, label: previous.label } }),
    ...(order.parent === undefined
      ? {}
      : { incremental: { blockSize: facts.blockSize, relsegSize: facts.relsegSize } }),
  });
}

function requireSecret(secret: Buffer | undefined, encryption: string): Buffer {
  if (secret !== undefined) return secret;
  throw new PgmonetaError('MASTER_KEY_INVALID', `encryption = ${encryption} needs a master key, and there is none`);
}

async function refuseWithoutSpace({ order, directory, alike }: BackupStart, announced: number): Promise<void> {
  const { available } = await freeSpace(directory);
  const compressed = codecOf(order.compression) !== 'none';
  const incremental = order.parent !== undefined;
  checkSpace({ announced, incremental, compressed, alike: alike?.info, available }, order.paths.root);
  if (announced > available && !incremental) {
    order.warn(
      `the server announces ${announced} bytes, ${available} are free: the backup fits only if it shrinks as expected`,
    );
  }
}
