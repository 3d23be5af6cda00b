import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Flags of a new file that nobody else may have put there. */
const EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Makes the entries of a directory durable. File systems that cannot are passed over, as fsync(2) allows. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** Permission bits and owner that a new file takes. */
export interface FileOwner {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

async function fill(handle: FileHandle, content: string | Uint8Array, owner: FileOwner): Promise<void> {
  try {
    if (owner.uid !== undefined && owner.gid !== undefined) {
      const status = await handle.stat();
      if (status.uid !== owner.uid || status.gid !== owner.gid) await handle.chown(owner.uid, owner.gid);
    }
    // Narrow from the start (0600), widened to what is wanted only once the owner is right.
    await handle.chmod(owner.mode);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a whole durable file beside its final place and returns its path; nothing is left behind on failure.
 * The caller renames or links it.
 */
export async function writeBeside(path: string, content: string | Uint8Array, owner: FileOwner): Promise<string> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await open(temporary, EXCLUSIVE, 0o600);
  try {
    await fill(handle, content, owner);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return temporary;
}

/** Replaces a file by a new one, atomically and durably. At any crash there is the old content or the new one. */
export async function replaceFile(path: string, content: string | Uint8Array, owner: FileOwner): Promise<void> {
  const temporary = await writeBeside(path, content, owner);
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** The kind of what a path names, without following a symbolic link; `missing` when there is nothing. */
export async function kindOf(path: string): Promise<'file' | 'directory' | 'link' | 'other' | 'missing'> {
  try {
    const status = await lstat(path);
    if (status.isSymbolicLink()) return 'link';
    if (status.isDirectory()) return 'directory';
    return status.isFile() ? 'file' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    throw error;
  }
}
