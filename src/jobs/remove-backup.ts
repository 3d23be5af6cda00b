import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { readBackup, type StoredBackup } from '../repository/catalogue.js';
import { makeDirectories } from '../repository/directories.js';
import { renameDurable } from '../repository/durable.js';
import { claimBackup, dropLease } from '../repository/leases.js';
import { lockPatiently } from '../repository/locks.js';
import type { ServerPaths } from '../repository/paths.js';
import { relinkDependants } from '../repository/relink.js';
import type { JobContext } from './context.js';

/** How long a removal waits for those who are just choosing a backup, in milliseconds. */
export const CATALOGUE_PATIENCE = 20_000;

/** A backup that is to go. */
export interface Removal {
  readonly server: string;
  readonly backup: StoredBackup;
  /** All backups of the server: links of the C program from them into this one become files of their own. */
  readonly backups: readonly StoredBackup[];
  /** Why it goes: for the log. */
  readonly reason: string;
  /** Bytes that this gives back, when it is known. */
  readonly freed?: number | undefined;
}

/**
 * Removes a backup. It leaves `backup/` by a rename, so that a kill never leaves half of one there; the rest is done
 * when nobody has to wait for it any more. The writer lock of the server has to be held.
 * @throws PgmonetaError DELETE_BACKUP_ACTIVE when somebody reads it; DELETE_BACKUP_RETAINED when it has become retained
 * since it was looked at; DELETE_BACKUP_FULL, DELETE_BACKUP_EXECUTE
 */
export async function removeBackup(
  paths: ServerPaths,
  { server, backup, backups, reason, freed }: Removal,
  context: Pick<JobContext, 'log' | 'signal'>,
): Promise<void> {
  const leaving = join(paths.trash, `${backup.label}-${process.pid}-${Date.now()}`);
  const what = `removal of backup ${backup.label} of ${server}`;
  await takeOut(paths, what, backup, backups, context.signal, leaving);
  context.log('info', `deleted backup ${backup.label} of ${server}: ${reason}`, {
    bytes: backup.info?.backupSize ?? 0,
    ...(freed === undefined ? {} : { freed }),
  });
  await removeTree(leaving).catch((error: Error) => {
    throw failed(backup.label, error);
  });
}

/** Takes the backup out of `backup/`, while nobody can begin to read it. */
async function takeOut(
  paths: ServerPaths,
  what: string,
  backup: StoredBackup,
  backups: readonly StoredBackup[],
  signal: AbortSignal,
  leaving: string,
): Promise<void> {
  const refusal = 'DELETE_BACKUP_ACTIVE';
  const catalogue = await lockPatiently(paths.catalogueLock, 'exclusive', what, refusal, CATALOGUE_PATIENCE, signal);
  try {
    const claim = await claimBackup(paths, backup.label, what, refusal);
    try {
      await refuseIfRetainedSince(paths, backup);
      await relinkDependants(backup, backups);
      await makeDirectories(paths.trash).catch((error: Error) => {
        throw failed(backup.label, error);
      });
      await renameDurable(backup.directory, leaving).catch((error: Error) => {
        throw failed(backup.label, error);
      });
      await dropLease(paths, backup.label);
    } finally {
      claim.release();
    }
  } finally {
    catalogue.release();
  }
}

/** It was looked at before it was claimed, and somebody may have retained it in between. */
async function refuseIfRetainedSince(paths: ServerPaths, { label, info }: StoredBackup): Promise<void> {
  const now = await readBackup(paths, label);
  if (!now.info?.keep || info?.keep) return;
  throw new PgmonetaError('DELETE_BACKUP_RETAINED', `backup ${label} has been retained just now`);
}

function failed(label: string, error: Error): PgmonetaError {
  return new PgmonetaError('DELETE_BACKUP_FULL', `backup ${label} could not be removed: ${error.message}`, {
    cause: error,
    hint: 'the rest of it is removed at the next start of the daemon',
  });
}
