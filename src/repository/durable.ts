import { rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory, writeFileDurable } from '../native/fs.js';
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
