import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { BackupOutcome } from '../backup/describe.js';
import { takeFullBackup } from '../backup/full.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { lock } from '../repository/locks.js';
import { serverPaths } from '../repository/paths.js';
import type { Job } from './context.js';
import type { JsonObject } from './messages.js';
import { optionalText } from './request.js';
import { serverOf, workerCount } from './servers.js';

/** Takes a backup of a server. */
export const backupJob: Job = async (request, context) => {
  const { configuration, signal } = context;
  const server = serverOf(configuration, request, 'BACKUP_NOSERVER');
  if (optionalText(request, 'Backup') !== undefined) {
    throw new PgmonetaError('BACKUP_ERROR', 'this version takes full backups only', {
      hint: `leave the identifier away: pgmoneta-cli backup ${server.name}`,
    });
  }
  const paths = serverPaths(configuration.main.base_dir, server.name);
  const writer = await lock(paths.writerLock, 'exclusive', `backup of ${server.name}`, 'BACKUP_ACTIVE');
  try {
    await clear(paths.staging);
    const outcome = await takeFullBackup({
      server,
      password: context.password,
      paths,
      compression: configuration.main.compression,
      compressionLevel: configuration.main.compression_level,
      encryption: configuration.main.encryption,
      masterSecret: context.masterSecret,
      workers: workerCount(server.workers, availableParallelism()),
      signal,
      onProgress: (phase, done, total) => context.progress({ phase, done, total, unit: 'bytes' }),
      warn: (message) => context.log('warn', `backup of ${server.name}: ${message}`),
    });
    context.log('info', `backup ${outcome.info.label} of ${server.name} is durable and verified`, {
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
};

/** What stands in staging while the writer lock is ours and no backup runs is worth nothing. */
async function clear(staging: string): Promise<void> {
  const names = await readdir(staging).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) await removeTree(join(staging, name));
}

function response(server: string, { info, files, linkedFiles, linkedBytes }: BackupOutcome): JsonObject {
  return {
    Backup: info.label,
    BackupSize: info.backupSize,
    BiggestFileSize: info.biggestFile,
    Compression: info.compression,
    Encryption: info.encryption,
    Incremental: false,
    IncrementalParent: '',
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
