import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { lock } from '../repository/locks.js';
import { serverPaths } from '../repository/paths.js';
import { parsePosition } from '../restore/position.js';
import { runRestore } from '../restore/run.js';
import { planTarget, targetLockName } from '../restore/target.js';
import { usableBackupOf } from './backups.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { flag, optionalText, requiredText, textMap } from './request.js';
import { serverOf, workerCount } from './servers.js';

/** Restores a backup to `<directory>/<server>-<label>`. */
export const restoreJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'RESTORE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'RESTORE_NOBACKUP');
  const root = requiredText(request, 'Directory', 'RESTORE_ERROR');
  const position = parsePosition(optionalText(request, 'Position'));
  const force = flag(request, 'Force');
  const reader = await lock(paths.catalogueLock, 'shared', `restore of ${server.name}`, 'RESTORE_ACTIVE');
  try {
    const backup = await usableBackupOf(paths, server.name, identifier, 'RESTORE_NOBACKUP', force);
    if (backup.info.incremental) {
      throw new PgmonetaError(
        'RESTORE_ERROR',
        `backup ${backup.label} is incremental, and this version restores full backups only`,
      );
    }
    const placement = {
      tablespaceMap: textMap(request, 'TablespaceMap'),
      relativeLinks: flag(request, 'RelativeLinks'),
    };
    const target = planTarget(root, server.name, backup.label, backup.info.tablespaces, placement);
    const targetLockPath = join(paths.root, targetLockName(target));
    const targetLock = await lock(targetLockPath, 'exclusive', `restore to ${target.final}`, 'RESTORE_ACTIVE');
    try {
      const result = await runRestore({
        ...placement,
        backup,
        server: server.name,
        root,
        position,
        primary: {
          host: server.host,
          port: server.port,
          user: server.user,
          applicationName: `${server.name}-${backup.label}`,
        },
        force,
        workers: workerCount(server.workers, availableParallelism()),
        masterSecret: context.masterSecret,
        signal: context.signal,
        onProgress: (done, total) => context.progress({ phase: 'Restore backup', done, total, unit: 'bytes' }),
        onSettled: (outcome) =>
          context.log('warn', `an interrupted restore to ${target.final} was ${outcome} before this one`),
      });
      context.log('info', `restored backup ${backup.label} of ${server.name} to ${result.directory}`, {
        files: result.report.files,
        bytes: result.report.bytes,
      });
      return restoreResponse(server.name, backup.info, result.directory);
    } catch (error) {
      throw cancelledAs(error, context, `the restore to ${target.final} was cancelled; nothing of it was kept`);
    } finally {
      targetLock.release();
    }
  } finally {
    reader.release();
  }
};

function cancelledAs(error: unknown, context: JobContext, message: string): unknown {
  if (!context.signal.aborted) return error;
  return new PgmonetaError('RESTORE_CANCELLED', message, { cause: error, retryable: true });
}

function restoreResponse(
  server: string,
  info: import('../repository/backup-info.js').BackupInfo,
  directory: string,
): JsonObject {
  return {
    Backup: info.label,
    BackupSize: info.backupSize,
    BiggestFileSize: info.biggestFile,
    Comments: info.comments,
    Compression: info.compression,
    Directory: directory,
    Encryption: info.encryption,
    Incremental: info.incremental,
    IncrementalParent: info.parent,
    MajorVersion: info.majorVersion,
    MinorVersion: info.minorVersion,
    RestoreSize: info.restoreSize,
    Server: server,
  };
}
