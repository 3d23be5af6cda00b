import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { BackupOutcome } from '../backup/describe.js';
import type { Parent } from '../backup/incremental.js';
import { takeBackup } from '../backup/take.js';
import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { readFacts } from '../postgres/index.js';
import { serverPaths } from '../repository/paths.js';
import { findParent, fullWouldDo, type ParentSearch } from './backup-parent.js';
import type { Job, JobContext } from './context.js';
import { hotStandbyFields, pendingHotStandbys, updateHotStandbys } from './hot-standby.js';
import type { JsonObject } from './messages.js';
import { flag, optionalText } from './request.js';
import { serverOf, workerCount } from './servers.js';
import { lockWriter } from './writer-lock.js';

/**
 * Takes a backup of a server, then brings its hot standbys to it. Nothing that happens to them concerns the backup, which
 * is published by then, and nobody has to wait for them to take or remove another one.
 */
export const backupJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'BACKUP_NOSERVER');
  const response = await publishBackup(server, request, context);
  if (server.hot_standby.length === 0) return response;
  context.standing?.({ ...response, ...pendingHotStandbys(server) });
  const wish = { keepTouched: false, patience: Number.POSITIVE_INFINITY };
  return { ...response, ...hotStandbyFields(await updateHotStandbys(server, context, wish)) };
};

/**
 * Takes a backup: full, or incremental to the backup that the request names. The writer lock, which also whoever removes
 * backups has to hold, keeps the parent where it is.
 */
async function publishBackup(server: EffectiveServer, request: JsonObject, context: JobContext): Promise<JsonObject> {
  const { configuration, signal } = context;
  const identifier = optionalText(request, 'Backup');
  const { password } = context;
  const warn = (message: string): void => context.log('warn', `backup of ${server.name}: ${message}`);
  const paths = serverPaths(configuration.main.base_dir, server.name);
  const writer = await lockWriter(paths, `backup of ${server.name}`, 'BACKUP_ACTIVE', context);
  try {
    await clear(paths.staging);
    const facts = await readFacts(server, password, signal);
    const search = { server, password, facts, paths, signal, warn };
    const parent =
      identifier === undefined ? undefined : await parentFor({ ...search, identifier }, flag(request, 'OrFull'));
    const outcome = await takeBackup({
      server,
      facts,
      parent,
      password,
      paths,
      compression: configuration.main.compression,
      compressionLevel: configuration.main.compression_level,
      encryption: configuration.main.encryption,
      masterSecret: context.masterSecret,
      workers: workerCount(server.workers, availableParallelism()),
      signal,
      onProgress: (phase, done, total) => context.progress({ phase, done, total, unit: 'bytes' }),
      warn,
    });
    const built = parent === undefined ? 'full' : `incremental to ${parent.backup.label}`;
    context.log('info', `backup ${outcome.info.label} of ${server.name} (${built}) is durable and verified`, {
      files: outcome.files,
      plain: outcome.info.restoreSize,
      stored: outcome.info.backupSize,
      linked: outcome.linkedFiles,
    });
    return response(server.name, outcome);
  } catch (error) {
    if (signal.aborted) {
      const reason = asPgmonetaError(signal.reason).message;
      throw new PgmonetaError(
        'BACKUP_CANCELLED',
        `the backup of ${server.name} was cancelled (${reason}); nothing of it was kept`,
        { cause: error, retryable: true },
      );
    }
    throw error;
  } finally {
    await clear(paths.staging).catch((error: Error) =>
      context.log(
        'warn',
        `${paths.staging} could not be cleared: ${error.message}; the next start of the daemon does it`,
      ),
    );
    writer.release();
  }
}

/** @param orFull whether a full backup is wanted where no incremental one is possible */
async function parentFor(search: ParentSearch, orFull: boolean): Promise<Parent | undefined> {
  try {
    return await findParent(search);
  } catch (error) {
    if (!orFull || !fullWouldDo(error)) throw error;
    const { message, hint } = asPgmonetaError(error);
    search.warn(`a full one is taken, no incremental one is possible: ${message}${hint ? ` (${hint})` : ''}`);
    return undefined;
  }
}

/** What stands in staging while the writer lock is ours and no backup runs is worth nothing. */
async function clear(staging: string): Promise<void> {
  const names = await readdir(staging).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) await removeTree(join(staging, name));
}

function response(server: string, outcome: BackupOutcome): JsonObject {
  const { info, files, incrementalFiles, linkedFiles, linkedBytes, extra } = outcome;
  return {
    Backup: info.label,
    BackupSize: info.backupSize,
    BiggestFileSize: info.biggestFile,
    Compression: info.compression,
    Encryption: info.encryption,
    ExtraFiles: extra.files,
    ...(extra.problems.length === 0 ? {} : { ExtraProblems: [...extra.problems] }),
    Incremental: info.incremental,
    IncrementalFiles: incrementalFiles,
    IncrementalParent: info.parent,
    LinkedFiles: linkedFiles,
    LinkedSize: linkedBytes,
    MajorVersion: info.majorVersion,
    MinorVersion: info.minorVersion,
    NumberOfFiles: files,
    RestoreSize: info.restoreSize,
    Server: server,
    Valid: 1,
  };
}
