import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { makeDirectories } from '../repository/directories.js';
import { removeTemporaries } from '../repository/durable.js';
import { dropLease } from '../repository/leases.js';
import { lock } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { finishRewrites } from '../repository/rewrite-info.js';
import { settleRollUps } from '../repository/roll-ups.js';
import type { Log } from './log.js';

/** How long a change that is under way may take before the sweep goes on without it, in milliseconds. */
const REWRITE_PATIENCE = 30_000;

async function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** Removes what killed jobs of a server left: unfinished backups, and backups on their way out. */
export async function sweepServer(paths: ServerPaths, server: string, log: Log): Promise<void> {
  await finishDescriptions(paths, server, log);
  const leftovers = (
    await Promise.all(
      [paths.staging, paths.trash].map(async (place) => (await entries(place)).map((name) => join(place, name))),
    )
  ).flat();
  if (leftovers.length === 0 && (await entries(paths.rollUps)).length === 0) return;
  let writer: Awaited<ReturnType<typeof lock>>;
  try {
    writer = await lock(paths.writerLock, 'exclusive', `sweep of ${server}`, 'BACKUP_ACTIVE');
  } catch (error) {
    if (error instanceof PgmonetaError && error.code === 'BACKUP_ACTIVE') return; // a job is at work: they are its own
    throw error;
  }
  try {
    for (const deed of await settleRollUps(paths)) log.warn(`${server}: ${deed}`);
    for (const path of leftovers) {
      await removeTree(path);
      log.warn(`removed ${path}: what a job left that did not end in order`);
    }
  } finally {
    writer.release();
  }
}

/** A description that cannot be finished now is no reason to leave the rest undone: the next start, or change, does it. */
async function finishDescriptions(paths: ServerPaths, server: string, log: Log): Promise<void> {
  try {
    const signal = AbortSignal.timeout(REWRITE_PATIENCE);
    for (const label of await finishRewrites(paths, `sweep of ${server}`, signal)) {
      log.warn(`finished a change of the description of backup ${label} of ${server} that was cut off`);
    }
  } catch (error) {
    log.error(`a change of a description in ${paths.rewrite} cannot be finished: ${asPgmonetaError(error).message}`);
  }
}

/**
 * Removes lock files of restores and archives that nobody holds. Only at the start: later a restore could be about to take one. The
 * job of a daemon that was killed may still hold one while it cleans up; that one stays.
 */
async function removeTargetLocks(root: string): Promise<void> {
  const names = await entries(root);
  for (const name of names.filter((entry) => /^\.(restore|archive)-.*\.lock$/.test(entry))) {
    const path = join(root, name);
    const held = await lock(path, 'exclusive', 'sweep', 'RESTORE_ACTIVE').catch(() => undefined);
    if (held === undefined) continue;
    await removeTree(path);
    held.release();
  }
}

/** Removes leases of backups that are gone: a removal does it itself unless it is killed, or the C program does it. */
async function removeLeases(paths: ServerPaths): Promise<void> {
  const backups = new Set(await entries(paths.backups));
  for (const name of await entries(paths.root)) {
    const label = /^\.lease-([0-9]{14})\.lock$/.exec(name)?.[1];
    if (label !== undefined && !backups.has(label)) await dropLease(paths, label);
  }
}

/** Prepares the directories of every server and sweeps them. */
export async function sweepRepository(baseDir: string, servers: readonly string[], log: Log): Promise<void> {
  for (const server of servers) {
    const paths = serverPaths(baseDir, server);
    for (const directory of [paths.backups, paths.wal]) await makeDirectories(directory);
    await removeTemporaries(
      paths.root,
      [paths.verified, paths.hotStandbys, paths.mode].map((path) => basename(path)),
    );
    await removeTargetLocks(paths.root);
    await removeLeases(paths);
    await sweepServer(paths, server, log);
  }
}
