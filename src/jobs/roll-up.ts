import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { exchange, freeSpace, type LockHandle, removeTree } from '../native/fs.js';
import type { BackupInfo } from '../repository/backup-info.js';
import { isKnown, type KnownBackup, readBackup, type StoredBackup } from '../repository/catalogue.js';
import { makeDirectories } from '../repository/directories.js';
import { renameDurable } from '../repository/durable.js';
import { claimBackup } from '../repository/leases.js';
import { lockPatiently } from '../repository/locks.js';
import type { ServerPaths } from '../repository/paths.js';
import { relinkDependants } from '../repository/relink.js';
import { describeUnpublished } from '../repository/rewrite-info.js';
import { settleRollUps } from '../repository/roll-ups.js';
import { forgetVerification } from '../repository/verifications.js';
import { rollUp } from '../restore/roll-up.js';
import { rollUpSpace } from '../restore/roll-up-space.js';
import type { JobContext } from './context.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { workerCount } from './servers.js';

/** How long a finished roll-up waits for those who read the backup that it replaces, in milliseconds. */
const READER_PATIENCE = 120_000;
const READER_PAUSE_MS = 500;

/** A backup that is to go although others build on it. */
export interface RollUpRequest {
  readonly server: EffectiveServer;
  readonly parent: StoredBackup;
  /** Those that build on it directly; what builds on them does not notice. */
  readonly children: readonly StoredBackup[];
  /** All backups of the server. */
  readonly backups: readonly StoredBackup[];
}

/** A roll-up that nothing speaks against. */
export interface PlannedRollUp {
  readonly parent: KnownBackup;
  readonly children: readonly KnownBackup[];
  /** Bytes on disk that it takes at most, before what it replaces goes. */
  readonly needed: number;
}

/** A child that stands by itself now, or on what its parent stood on. */
export interface RolledUp {
  readonly label: string;
  readonly info: BackupInfo;
}

/** The backups that build on another one directly. */
export function childrenOf(backups: readonly StoredBackup[], label: string): StoredBackup[] {
  return backups.filter(({ info }) => info?.incremental && info.parent === label);
}

/**
 * Refuses what no roll-up can do, before any work.
 * @throws PgmonetaError DELETE_BACKUP_ROLLUP
 */
export async function checkRollUp(
  paths: ServerPaths,
  { server, parent, children }: RollUpRequest,
): Promise<PlannedRollUp> {
  const spoiled = [parent, ...children].find(({ validity }) => validity !== 'valid');
  const labels = children.map(({ label }) => label).join(', ');
  if (spoiled !== undefined || !isKnown(parent) || !children.every(isKnown)) {
    throw new PgmonetaError(
      'DELETE_BACKUP_ROLLUP',
      `backup ${parent.label} of ${server.name} is the parent of ${labels} and cannot be rolled up: ` +
        `${spoiled?.label ?? parent.label} is not valid: ${spoiled?.problem ?? 'it cannot be read'}`,
      { hint: `delete what builds on it first, newest first, if it is of no use any more: ${labels}` },
    );
  }
  let needed = 0;
  for (const child of children) needed += await rollUpSpace(parent, child);
  const { available } = await freeSpace(paths.backups);
  if (needed > available) {
    const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
    throw new PgmonetaError(
      'DELETE_BACKUP_ROLLUP',
      `backup ${parent.label} of ${server.name} is the parent of ${labels}: rolling it up may take ${mega(needed)}, ` +
        `and ${paths.backups} has ${mega(available)} free`,
      { hint: `free space there, or delete what builds on it, newest first: ${labels}` },
    );
  }
  return { parent, children, needed };
}

/**
 * Makes the children of a backup independent of it. Each is built anew beside the repository's backups, complete and
 * proved; when all are ready they change places with what they replace, each in one step. A kill leaves every
 * backup restorable, as it was or as it will be; done again, only what is missing is done. The writer lock has to be held.
 * @throws PgmonetaError DELETE_BACKUP_ROLLUP; DELETE_BACKUP_ACTIVE when somebody goes on reading a child
 */
export async function rollUpChildren(
  paths: ServerPaths,
  request: RollUpRequest,
  context: JobContext,
): Promise<RolledUp[]> {
  const { parent, children } = await checkRollUp(paths, request);
  const { server, backups } = request;
  try {
    const built: BackupInfo[] = [];
    for (const child of children) built.push(await build(paths, server, parent, child, context));
    for (const [number, child] of children.entries()) {
      const info = built[number] as BackupInfo;
      await replace(paths, { server: server.name, child, info, backups }, context);
      const now = info.incremental ? `is incremental to ${info.parent}` : 'is a full backup';
      context.log('info', `rolled backup ${parent.label} of ${server.name} up into ${child.label}, which now ${now}`, {
        bytes: info.backupSize,
      });
    }
    return children.map(({ label }, number) => ({ label, info: built[number] as BackupInfo }));
  } finally {
    // Not by removing what is there: an exchange of three renames may have stopped with a child among it.
    await settleRollUps(paths).catch((error) =>
      context.log('warn', `${paths.rollUps} could not be cleared: ${asPgmonetaError(error).message}`),
    );
  }
}

async function build(
  paths: ServerPaths,
  server: EffectiveServer,
  parent: KnownBackup,
  child: KnownBackup,
  context: JobContext,
): Promise<BackupInfo> {
  const { signal, masterSecret } = context;
  await makeDirectories(paths.rollUps);
  try {
    const { info, report } = await rollUp({
      child,
      ancestors: [parent],
      directory: join(paths.rollUps, child.label),
      workers: workerCount(server.workers, availableParallelism()),
      masterSecret,
      signal,
      onProgress: (done, total) => context.progress({ phase: 'Roll up', done, total, unit: 'bytes' }),
    });
    for (const warning of report.warnings) context.log('warn', `roll-up into ${child.label}: ${warning}`);
    return info;
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, hint, retryable } = asPgmonetaError(error);
    throw new PgmonetaError(
      'DELETE_BACKUP_ROLLUP',
      `backup ${parent.label} of ${server.name} could not be rolled up into ${child.label}: ${message}`,
      { cause: error, retryable, hint: hint ?? 'nothing was changed; mend the cause, then delete again' },
    );
  }
}

interface Replacement {
  readonly server: string;
  readonly child: KnownBackup;
  /** Of the backup that takes its place. */
  readonly info: BackupInfo;
  readonly backups: readonly StoredBackup[];
}

/** Lets the new backup and the one that it replaces change places, while nobody reads it or can begin to. */
async function replace(paths: ServerPaths, replacement: Replacement, context: JobContext): Promise<void> {
  const { server, child, info, backups } = replacement;
  const what = `roll-up into backup ${child.label} of ${server}`;
  const fresh = join(paths.rollUps, child.label);
  const release = await claimPatiently(paths, child.label, what, context.signal);
  try {
    // It may have been retained, annotated or found damaged while the new one was built.
    const now = await readBackup(paths, child.label);
    if (now.validity !== 'valid' || !isKnown(now)) {
      throw new PgmonetaError('DELETE_BACKUP_ROLLUP', `backup ${child.label} is not valid any more: ${now.problem}`);
    }
    if (now.info.keep !== info.keep || now.info.comments !== info.comments) {
      await describeUnpublished(fresh, { ...info, keep: now.info.keep, comments: now.info.comments });
    }
    await relinkDependants(child, backups);
    await exchange(fresh, child.directory);
    await forgetVerification(paths, child.label, context.signal);
  } finally {
    release();
  }
  await makeDirectories(paths.trash);
  const leaving = join(paths.trash, `${child.label}-${process.pid}-${Date.now()}`);
  await renameDurable(fresh, leaving);
  await removeTree(leaving);
}

/** The catalogue, and one backup in it, for this job alone; readers are waited for without keeping others from reading. */
async function claimPatiently(
  paths: ServerPaths,
  label: string,
  what: string,
  signal: AbortSignal,
): Promise<() => void> {
  const refusal = 'DELETE_BACKUP_ACTIVE';
  const deadline = performance.now() + READER_PATIENCE;
  for (;;) {
    const held: LockHandle[] = [
      await lockPatiently(paths.catalogueLock, 'exclusive', what, refusal, CATALOGUE_PATIENCE, signal),
    ];
    const release = (): void => {
      for (const one of held.reverse()) one.release();
    };
    try {
      held.push(await claimBackup(paths, label, what, refusal));
      return release;
    } catch (error) {
      release();
      if (asPgmonetaError(error).code !== refusal || performance.now() > deadline) throw error;
    }
    await pause(READER_PAUSE_MS, undefined, { signal });
  }
}
