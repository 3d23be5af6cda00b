import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory and those above it, mode 0700; one that is there already is fine. Node's own recursive mkdir never
 * ends where the parent exists and the file system answers ENOENT all the same, as /proc does.
 * @throws the error of the system, for the first directory that cannot be made
 */
export async function makeDirectories(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectories(parent);
  await mkdir(path, { mode: 0o700 }).catch(async (error: NodeJS.ErrnoException) => {
    const now = await stat(path).catch(() => undefined);
    if (error.code !== 'EEXIST' || !now?.isDirectory()) throw error;
  });
}
