import { createHash } from 'node:crypto';
import { lstat, mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type ErrorCode, isErrorCode, PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { codecOf } from '../repository/codes.js';
import { lock } from '../repository/locks.js';
import { serverPaths } from '../repository/paths.js';
import { archivePath, writeArchive } from '../restore/archive.js';
import { archiveRatio, checkArchiveSpace } from '../restore/space.js';
import { buildingName } from '../restore/target.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { flag, optionalText, requiredText } from './request.js';
import { restoreJob } from './restore.js';
import { serverOf, workerCount } from './servers.js';

/**
 * Archives a backup, restored to a position: `<directory>/archive-<server>-<label>.tar` with the suffixes of the
 * configured codec and cipher. The restore goes to a directory beside it that nobody else can enter; data directory and
 * tablespaces lie next to each other in the tar, with links that hold wherever it is unpacked.
 */
export const archiveJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'ARCHIVE_NOSERVER');
  const identifier = requiredText(request, 'Backup', 'ARCHIVE_NOBACKUP');
  const directory = requiredText(request, 'Directory', 'ARCHIVE_ERROR');
  refuse(request, directory);
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const staging = buildingName(join(directory, `archive-${server.name}-${identifier}`));
  const hash = createHash('sha256').update(staging).digest('hex').slice(0, 16);
  const what = `archive of ${server.name} to ${directory}`;
  const held = await lock(join(paths.root, `.archive-${hash}.lock`), 'exclusive', what, 'ARCHIVE_ACTIVE');
  try {
    await removeTree(staging);
    const restore = { ...request, Directory: staging, RelativeLinks: true, Force: false, Delta: false };
    const force = flag(request, 'Force');
    // Before anything is written: which backup it is, whether there is room, and whether the name is free.
    const rehearsal = await restoreJob({ ...restore, DryRun: true }, context);
    const place = { server: server.name, directory, force, context };
    await refuseExisting(place, String(rehearsal.Backup));
    refuseWithoutRoom(rehearsal, directory, context);
    await mkdir(staging, { mode: 0o700, recursive: true });
    const restored = await restoreJob(restore, context);
    await refuseExisting(place, String(restored.Backup));
    const workers = workerCount(server.workers, availableParallelism());
    const archived = await pack(place, staging, String(restored.Backup), workers);
    return { ...response(restored), ...archived };
  } catch (error) {
    throw named(error, context, server.name);
  } finally {
    await removeTree(staging).catch((error: Error) =>
      context.log('warn', `${staging} could not be removed: ${error.message}; remove it by hand`),
    );
    held.release();
  }
};

function refuse(request: JsonObject, directory: string): void {
  if (!isAbsolute(directory)) {
    throw new PgmonetaError('ARCHIVE_ERROR', `the directory '${directory}' is not absolute`, {
      hint: 'the daemon writes the archive: give the whole path',
    });
  }
  if ((optionalText(request, 'Wal') ?? 'copy') !== 'copy') {
    throw new PgmonetaError('ARCHIVE_ERROR', 'an archive has to bring its WAL: it may be unpacked anywhere', {
      hint: 'leave --wal away',
    });
  }
}

/** Where an archive goes. */
interface Place {
  readonly server: string;
  readonly directory: string;
  readonly force: boolean;
  readonly context: JobContext;
}

const nameOf = (server: string, label: string): string => `archive-${server}-${label}`;

async function refuseExisting({ server, directory, force, context }: Place, label: string): Promise<void> {
  const { compression, encryption } = context.configuration.main;
  const path = archivePath(directory, nameOf(server, label), codecOf(compression), encryption);
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || (force && found.isFile())) return;
  throw new PgmonetaError('ARCHIVE_SETUP', `${path} exists${found.isFile() ? '' : ' and is not a file'}`, {
    hint: found.isFile() ? 'choose another directory, or use --force to replace it' : 'choose another directory',
  });
}

/** The tree and the archive of it stand on one file system at the same time. */
function refuseWithoutRoom(rehearsal: JsonObject, directory: string, context: JobContext): void {
  const [first] = rehearsal.FileSystems as readonly { readonly Needed: number; readonly Free: number }[];
  if (first === undefined) return;
  const ratio = archiveRatio(codecOf(context.configuration.main.compression), {
    stored: Number(rehearsal.BackupSize),
    restored: Number(rehearsal.RestoreSize),
    compressed: rehearsal.Compression !== 0,
    incremental: rehearsal.Incremental === true,
  });
  checkArchiveSpace({ tree: { needed: first.Needed, available: first.Free }, directory, ratio });
}

async function pack(place: Place, staging: string, label: string, workers: number): Promise<JsonObject> {
  const { server, directory, context } = place;
  const { compression, compression_level: level, encryption } = context.configuration.main;
  if (encryption !== 'none' && context.masterSecret === undefined) {
    throw new PgmonetaError('MASTER_KEY_INVALID', `encryption = ${encryption} needs a master key, and there is none`);
  }
  const { path, plainSize, storedSize, sha512 } = await writeArchive({
    tree: staging,
    directory,
    name: nameOf(server, label),
    codec: codecOf(compression),
    level,
    encryption,
    masterSecret: context.masterSecret,
    workers,
    signal: context.signal,
    onProgress: (done, total) => context.progress({ phase: 'Archive', done, total, unit: 'bytes' }),
    onOtherCipher: (mode) =>
      context.log('info', `the archive of ${server} is too long for ${encryption}, it is sealed with ${mode}`),
  });
  context.log('info', `archived backup ${label} of ${server} as ${path}`, { plain: plainSize, stored: storedSize });
  return { ArchiveSize: storedSize, FileName: path, SHA512: sha512 };
}

/** The keys of a restore that hold for its archive too. */
function response(restored: JsonObject): JsonObject {
  const { Directory: _directory, ...rest } = restored;
  return rest;
}

/** What the restore within an archive refuses, the archive refuses. */
function named(error: unknown, { signal }: JobContext, server: string): unknown {
  if (signal.aborted) {
    const message = `the archive of ${server} was cancelled; nothing of it was kept`;
    return new PgmonetaError('ARCHIVE_CANCELLED', message, { cause: error, retryable: true });
  }
  if (!(error instanceof PgmonetaError)) return error;
  const { message, hint, retryable } = error;
  const own = error.code === 'RESTORE_NODISK' ? 'ARCHIVE_SETUP' : error.code.replace(/^RESTORE_/, 'ARCHIVE_');
  if (own === error.code || !isErrorCode(own)) return error;
  return new PgmonetaError(own as ErrorCode, message, { hint, retryable, cause: error });
}
