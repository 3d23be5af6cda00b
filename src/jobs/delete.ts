import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { describeMissing, findBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { makeDirectories } from '../repository/directories.js';
import { renameDurable } from '../repository/durable.js';
import { lock } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { relinkDependants } from '../repository/relink.js';
import type { Job } from './context.js';
import { flag, requiredText } from './request.js';
import { serverOf } from './servers.js';
import { trimWal } from './trim-wal.js';

/**
 * Deletes a full backup. It leaves `backup/` by a rename, so a kill never leaves half of one; links of the C
 * program from other backups into it are turned into files of their own first. The WAL that only it needed goes after
 * it.
 */
export const deleteJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'DELETE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'DELETE_BACKUP_NOBACKUP');
  const what = `delete of ${server.name}`;
  const writer = await lock(paths.writerLock, 'exclusive', what, 'DELETE_BACKUP_ACTIVE');
  try {
    const catalogue = await lock(paths.catalogueLock, 'exclusive', what, 'DELETE_BACKUP_ACTIVE');
    try {
      const backups = await listBackups(paths);
      const backup = chooseBackup(backups, server.name, identifier, flag(request, 'Force'));
      context.progress({ phase: 'Delete', done: 0, total: 1, unit: 'files' });
      await relinkDependants(backup, backups);
      await removeBackup(paths, backup);
      context.log('info', `deleted backup ${backup.label} of ${server.name}: asked for by the user`, {
        bytes: backup.info?.backupSize ?? 0,
      });
      await trimWal(paths, server, context);
      return {
        Backup: backup.label,
        MajorVersion: backup.info?.majorVersion ?? 0,
        MinorVersion: backup.info?.minorVersion ?? 0,
        Server: server.name,
      };
    } finally {
      catalogue.release();
    }
  } finally {
    writer.release();
  }
};

function chooseBackup(
  backups: readonly StoredBackup[],
  server: string,
  identifier: string,
  force: boolean,
): StoredBackup {
  if (backups.length === 0) throw new PgmonetaError('DELETE_BACKUP_NOBACKUPS', `server ${server} has no backups`);
  const backup = findBackup(backups, identifier);
  if (backup === undefined) {
    throw new PgmonetaError('DELETE_BACKUP_NOBACKUP', describeMissing(server, identifier, backups));
  }
  if (backup.info?.keep && !force) {
    throw new PgmonetaError('DELETE_BACKUP_RETAINED', `backup ${backup.label} of ${server} is retained`);
  }
  const children = backups.filter((other) => other.info?.incremental && other.info.parent === backup.label);
  if (children.length > 0) {
    throw new PgmonetaError(
      'DELETE_BACKUP_ROLLUP',
      `backup ${backup.label} of ${server} is the parent of ${children.map((child) => child.label).join(', ')}`,
      { hint: 'delete the incremental backups first, newest first' },
    );
  }
  return backup;
}

async function removeBackup(paths: ServerPaths, backup: StoredBackup): Promise<void> {
  try {
    await makeDirectories(paths.trash);
    const leaving = join(paths.trash, `${backup.label}-${process.pid}-${Date.now()}`);
    await renameDurable(backup.directory, leaving);
    await removeTree(leaving);
  } catch (error) {
    throw new PgmonetaError(
      'DELETE_BACKUP_FULL',
      `backup ${backup.label} could not be removed: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'the rest of it is removed at the next start of the daemon',
      },
    );
  }
}
