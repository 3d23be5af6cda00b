import { readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree, syncDirectory, writeFileDurable } from '../native/fs.js';
import { makeDirectories } from './directories.js';

/**
 * Renames within one file system and makes the change durable on both sides. A rename that cannot be made durable is
 * taken back: what is reported as failed must not stand under its name.
 */
export async function renameDurable(from: string, to: string): Promise<void> {
  await rename(from, to);
  try {
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
  } catch (error) {
    await rename(to, from).catch(() => {}); // the first error tells more
    throw error;
  }
}

/** Replaces a small text file, mode 0600, in one step; its directory is made when it is missing. */
export async function writeTextDurable(path: string, text: string): Promise<void> {
  await makeDirectories(dirname(path));
  await writeFileDurable(path, text);
}

/** What {@link writeTextDurable} writes to before the rename: the name, the process, and a number. */
const TEMPORARY = /^(.+)\.tmp-[0-9]+-[0-9]+$/;

/**
 * Removes what killed processes left of {@link writeTextDurable}. Only where nobody can be writing these files.
 * @param names the files in `directory`; it need not be there
 */
export async function removeTemporaries(directory: string, names: readonly string[]): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    const name = TEMPORARY.exec(entry)?.[1];
    if (name !== undefined && names.includes(name)) await removeTree(join(directory, entry));
  }
}
