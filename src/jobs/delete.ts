import type { EffectiveServer } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import { describeMissing, findBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { FreedSpace } from '../repository/freed.js';
import { readerOf } from '../repository/leases.js';
import { lock } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { removeBackup } from './remove-backup.js';
import { flag, requiredText } from './request.js';
import { serverOf } from './servers.js';
import { trimWal, walFields } from './trim-wal.js';

/**
 * Deletes a backup, and after it the WAL that only it needed. Links of the C program from other backups into it are
 * turned into files of their own first. A rehearsal tells what would go and changes nothing.
 */
export const deleteJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'DELETE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'DELETE_BACKUP_NOBACKUP');
  const force = flag(request, 'Force');
  if (flag(request, 'DryRun')) return rehearse(paths, server, identifier, force, context);
  const writer = await lock(paths.writerLock, 'exclusive', `delete of ${server.name}`, 'DELETE_BACKUP_ACTIVE');
  try {
    const backups = await listBackups(paths);
    const backup = chooseBackup(backups, server.name, identifier, force);
    context.progress({ phase: 'Delete', done: 0, total: 1, unit: 'files' });
    const freed = await new FreedSpace().add(backup.directory);
    const reason = 'asked for by the user';
    await removeBackup(paths, { server: server.name, backup, backups, reason, freed }, context);
    const wal = await trimWal(paths, server, context);
    return { ...response(server.name, backup, freed), ...walFields(wal) };
  } finally {
    writer.release();
  }
};

/** What would happen now; refused where the deletion would be refused. */
async function rehearse(
  paths: ServerPaths,
  server: EffectiveServer,
  identifier: string,
  force: boolean,
  context: JobContext,
): Promise<JsonObject> {
  const backup = chooseBackup(await listBackups(paths), server.name, identifier, force);
  const reader = readerOf(paths, backup.label);
  if (reader !== undefined) {
    throw new PgmonetaError(
      'DELETE_BACKUP_ACTIVE',
      `backup ${backup.label} of ${server.name} cannot go now: ${reader}`,
      {
        retryable: true,
      },
    );
  }
  const wal = await trimWal(paths, server, context, { rehearsal: true, without: new Set([backup.label]) });
  const freed = await new FreedSpace().add(backup.directory);
  return { ...response(server.name, backup, freed), ...walFields(wal), DryRun: true };
}

function response(server: string, { label, info }: StoredBackup, freed: number): JsonObject {
  return {
    Backup: label,
    Freed: freed,
    MajorVersion: info?.majorVersion ?? 0,
    MinorVersion: info?.minorVersion ?? 0,
    Server: server,
  };
}

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
