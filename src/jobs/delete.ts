import type { EffectiveServer } from '../config/of-server.js';
import { PgmonetaError } from '../errors/index.js';
import {
  describeMissing,
  findBackup,
  type KnownBackup,
  listBackups,
  type StoredBackup,
} from '../repository/catalogue.js';
import { FreedSpace } from '../repository/freed.js';
import { readerOf } from '../repository/leases.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { settleRollUps } from '../repository/roll-ups.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { removeBackup } from './remove-backup.js';
import { removeHotStandbys } from './remove-hot-standbys.js';
import { flag, requiredText } from './request.js';
import { checkRollUp, childrenOf, type RolledUp, rollUpChildren } from './roll-up.js';
import { serverOf } from './servers.js';
import { trimWal, walFields } from './trim-wal.js';
import { lockWriter } from './writer-lock.js';

/**
 * Deletes a backup, and after it the WAL that only it needed. Backups that build on it take it in first; links of the C
 * program from other backups into it are turned into files of their own. A rehearsal tells what would go and changes
 * nothing.
 */
export const deleteJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'DELETE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'DELETE_BACKUP_NOBACKUP');
  const force = flag(request, 'Force');
  if (flag(request, 'DryRun')) return rehearse(paths, server, identifier, force, context);
  const writer = await lockWriter(paths, `delete of ${server.name}`, 'DELETE_BACKUP_ACTIVE', context);
  try {
    for (const deed of await settleRollUps(paths)) context.log('warn', `${server.name}: ${deed}`);
    const backups = await listBackups(paths);
    const backup = chooseBackup(backups, server.name, identifier, force);
    const children = childrenOf(backups, backup.label);
    const before = await takenBy([backup, ...children]);
    const rolledUp =
      children.length === 0 ? [] : await rollUpChildren(paths, { server, parent: backup, children, backups }, context);
    context.progress({ phase: 'Delete', done: 0, total: 1, unit: 'files' });
    const after = await takenBy([backup, ...children]);
    const freed = before.all - after.all + after.first;
    const reason = 'asked for by the user';
    await removeBackup(paths, { server: server.name, backup, backups, reason, freed }, context);
    const wal = await trimWal(paths, server, context);
    if (backups.length === 1) await removeHotStandbys(paths, server, context);
    return { ...response(server.name, backup, freed, rolledUp), ...walFields(wal) };
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
  const backups = await listBackups(paths);
  const backup = chooseBackup(backups, server.name, identifier, force);
  const children = childrenOf(backups, backup.label);
  for (const { label } of [backup, ...children]) {
    const reader = readerOf(paths, label);
    if (reader === undefined) continue;
    const why = label === backup.label ? reader : `${label}, which builds on it, is in use: ${reader}`;
    throw new PgmonetaError('DELETE_BACKUP_ACTIVE', `backup ${backup.label} of ${server.name} cannot go now: ${why}`, {
      retryable: true,
    });
  }
  const planned =
    children.length === 0 ? undefined : await checkRollUp(paths, { server, parent: backup, children, backups });
  const wal = await trimWal(paths, server, context, { rehearsal: true, without: new Set([backup.label]) });
  const freed = await new FreedSpace().add(backup.directory);
  return {
    ...response(server.name, backup, freed, planned?.children.map((child) => standing(child, planned.parent)) ?? []),
    ...(planned === undefined ? {} : { RollUpSize: planned.needed }),
    ...walFields(wal),
    DryRun: true,
  };
}

/** What a child will be when it has taken in its parent; its size is not known before. */
function standing({ label, info }: KnownBackup, { info: parent }: KnownBackup): RolledUp {
  return { label, info: { ...info, incremental: parent.incremental, parent: parent.incremental ? parent.parent : '' } };
}

/**
 * Bytes on disk that the removal of these backups would give back, one after the other: of the first, and of all. Below
 * the first, what it shares with the others is not counted.
 */
async function takenBy(backups: readonly StoredBackup[]): Promise<{ readonly first: number; readonly all: number }> {
  const space = new FreedSpace();
  const sizes: number[] = [];
  for (const { directory } of backups) sizes.push(await space.add(directory));
  return { first: sizes[0] ?? 0, all: sizes.reduce((sum, size) => sum + size, 0) };
}

function response(
  server: string,
  { label, info }: StoredBackup,
  freed: number,
  rolledUp: readonly RolledUp[],
): JsonObject {
  return {
    Backup: label,
    // Two children that take in a large parent may take more than it did.
    Freed: freed,
    MajorVersion: info?.majorVersion ?? 0,
    MinorVersion: info?.minorVersion ?? 0,
    ...(rolledUp.length === 0
      ? {}
      : {
          RolledUp: rolledUp.map(({ label: into, info: now }) => ({
            Backup: into,
            BackupSize: now.backupSize,
            Incremental: now.incremental,
            IncrementalParent: now.parent,
          })),
        }),
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
  return backup;
}
