import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../native/fs.js';
import { renameDurable } from './durable.js';
import { isBackupLabel } from './label.js';
import type { ServerPaths } from './paths.js';

/** How `exchange` names what it sets aside where the system cannot let two names change places in one step. */
const ASIDE = '.exchange';

/**
 * Removes what a roll-up that was cut off has left. Where an exchange takes three renames, a kill between them leaves a
 * backup without its name: it gets that back first. The writer lock has to be held.
 * @returns what was done, in words
 */
export async function settleRollUps(paths: ServerPaths): Promise<string[]> {
  const done: string[] = [];
  const names = await entries(paths.rollUps);
  for (const aside of names.filter((name) => name.endsWith(ASIDE))) {
    const label = aside.slice(0, -ASIDE.length);
    const final = join(paths.backups, label);
    if (!isBackupLabel(label) || (await exists(final))) continue;
    // The new one, whole, stands aside; what has the name in here, if it is still there, is the backup as it was.
    await renameDurable(join(paths.rollUps, names.includes(label) ? label : aside), final);
    done.push(`gave backup ${label} its name back, which a roll-up that was cut off had taken`);
  }
  for (const name of await entries(paths.rollUps)) {
    const path = join(paths.rollUps, name);
    await removeTree(path);
    done.push(`removed ${path}: what a roll-up left that did not end in order`);
  }
  return done;
}

async function entries(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
