import { lstat, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../native/fs.js';
import { type CopyPaths, kindOf, tablespaceLinks } from './hot-standby-paths.js';
import { refuseRunningCopy } from './hot-standby-running.js';
import { type CopyState, readState } from './hot-standby-state.js';
import { settleCopy } from './hot-standby-switch.js';

/** A tablespace that an update made. */
export type MadeTablespace = CopyState['tablespaces'][number];

/** The tablespaces of a copy that we made, and that the copy still has: those that may go with it. */
export async function ownTablespaces(paths: CopyPaths): Promise<readonly MadeTablespace[]> {
  const state = await readState(paths.state);
  const used = new Set((await tablespaceLinks(paths)).map(({ place }) => place));
  return (state?.tablespaces ?? []).filter(({ place }) => used.has(place));
}

/** Removes what was made of a tablespace, as far as it is still that; its place too when nothing else is in it. */
export async function removeTablespace({ place, entries }: MadeTablespace): Promise<void> {
  for (const { name, inode } of entries) {
    const path = join(place, name);
    const status = await lstat(path, { bigint: true }).catch(() => undefined);
    if (status?.isDirectory() && String(status.ino) === inode) await removeTree(path);
  }
  // A place that has something else in it, or that is a mount point, stays.
  await rmdir(place).catch(() => {});
}

/**
 * Removes a copy: its data directory, its tablespaces and what belongs to them beside it; never the configured directory.
 * A data directory of which nothing says that an update made it stays.
 * @returns whether there was one
 * @throws PgmonetaError HOT_STANDBY when a server runs in it; IO
 */
export async function removeCopy(paths: CopyPaths): Promise<boolean> {
  await settleCopy(paths);
  if ((await readState(paths.state)) === undefined) return false;
  const tablespaces = await ownTablespaces(paths);
  await refuseRunningCopy(paths.copy);
  const there = (await kindOf(paths.copy)) === 'directory';
  if (there) await removeTree(paths.copy);
  for (const tablespace of tablespaces) await removeTablespace(tablespace);
  await removeTree(paths.state);
  return there;
}
