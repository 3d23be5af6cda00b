import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { syncDirectory } from '../native/fs.js';
import type { Removal } from './horizon.js';

/** Told of each file that has gone. */
export type OnRemoved = (file: string, reason: string) => void;

/**
 * Removes files of an archive in the order given, then makes that durable with one sync of the directory. A file that
 * has gone already is fine. The caller holds the WAL lock.
 * @returns how many files were removed
 * @throws PgmonetaError IO at the first file that cannot be removed; what went before it stays removed
 */
export async function removeWal(
  directory: string,
  removals: readonly Removal[],
  onRemoved: OnRemoved,
  signal?: AbortSignal,
): Promise<number> {
  let removed = 0;
  try {
    for (const { file, reason } of removals) {
      signal?.throwIfAborted();
      if (await removeFile(join(directory, file))) {
        removed++;
        onRemoved(file, reason);
      }
    }
  } finally {
    if (removed > 0) await syncDirectory(directory);
  }
  return removed;
}

async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new PgmonetaError('IO', `${path} could not be removed: ${(error as Error).message}`, {
      cause: error,
      hint: 'the daemon has to own the directory; the rest is removed after the next delete',
    });
  }
}
