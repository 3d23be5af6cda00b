import { copyFile, lstat, open, readdir, readlink, realpath, rename, stat, symlink, unlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { syncDirectory } from '../native/fs.js';
import type { StoredBackup } from './catalogue.js';

/**
 * pgmoneta 0.21 replaces files that did not change by absolute symbolic links into an older backup. Before that
 * backup goes, each such link in another backup becomes a file of its own. Hard links, which we make, need nothing.
 * @param leaving the backup that will be removed
 */
export async function relinkDependants(leaving: StoredBackup, backups: readonly StoredBackup[]): Promise<void> {
  const home = await realpath(leaving.directory);
  for (const backup of backups) {
    if (backup.label === leaving.label) continue;
    for await (const link of symbolicLinks(join(backup.directory))) {
      await materialise(link, home);
    }
  }
}

async function* symbolicLinks(directory: string): AsyncGenerator<string> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink()) yield path;
    else if (entry.isDirectory()) yield* symbolicLinks(path);
  }
}

/** Whether any hop of the chain of links leads into `home`; tablespace links are directories and stay. */
async function materialise(link: string, home: string): Promise<void> {
  const target = await stat(link).catch(() => undefined);
  if (target === undefined || !target.isFile() || !(await passesThrough(link, home))) return;
  const temporary = `${link}.relink-${process.pid}`;
  const final = await realpath(link);
  try {
    if (inside(final, home)) {
      await copyFile(final, temporary);
      await syncFile(temporary);
    } else {
      await symlink(final, temporary);
    }
    await rename(temporary, link);
    await syncDirectory(join(link, '..'));
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw new PgmonetaError(
      'DELETE_BACKUP_EXECUTE',
      `${link} needs the file ${final}, which could not be copied: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'nothing was deleted; mend the cause, then delete again',
      },
    );
  }
}

function inside(path: string, home: string): boolean {
  return path === home || path.startsWith(home + sep);
}

async function passesThrough(link: string, home: string): Promise<boolean> {
  let path = link;
  for (let hops = 0; hops < 64; hops++) {
    const status = await lstat(path).catch(() => undefined);
    if (status === undefined || !status.isSymbolicLink()) return inside(await realpath(path), home);
    const next = await readlink(path);
    path = next.startsWith('/') ? next : join(path, '..', next);
    const parent = await realpath(join(path, '..')).catch(() => undefined);
    if (parent !== undefined && inside(parent, home)) return true;
  }
  return false;
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
