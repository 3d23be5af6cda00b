import { native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';

/** A lock that is held until it is released, or this process ends, however it ends. */
export interface LockHandle {
  /** Gives the lock back; a second call does nothing. */
  release(): void;
}

/** What a file system has left, in bytes. */
export interface FreeSpace {
  /** Number of the file system: equal for paths that share their space. */
  readonly device: string;
  /** What an unprivileged process may still use. */
  readonly available: number;
  /** Size of the file system. */
  readonly total: number;
  /** Preferred size of transfers. */
  readonly blockSize: number;
}

/** What to do when the destination exists. */
export interface WriteOptions {
  /** Take its place in one step (the default); otherwise it is an error. */
  readonly replace?: boolean;
}

interface FsAddon {
  acquireLock(path: string, mode: string, owner: string): LockHandle;
  readLockOwners(path: string): string[];
  writeFileDurable(path: string, data: Buffer, replace: boolean): Promise<void>;
  copyFileDurable(source: string, target: string, replace: boolean): Promise<number>;
  hashFileSha512(path: string): Promise<string>;
  createDirectoryExclusive(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  syncTree(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  exchange(a: string, b: string): Promise<void>;
  listFiles(path: string): Promise<Buffer | null>;
  freeSpace(path: string): Promise<FreeSpace>;
}

const addon = () => loadAddon<FsAddon>();

/**
 * Takes a lock without waiting. The lock file is created when it is missing (its directory is not) and never removed.
 * @param owner a JSON object of at most 500 bytes that tells a refused process who holds the lock: `verb`, `pid`, `since`
 * @throws PgmonetaError REPOSITORY_LOCKED naming the holder, when there is one in the way; IO
 */
export function acquireLock(path: string, mode: 'shared' | 'exclusive', owner: string): LockHandle {
  return nativeSync(() => addon().acquireLock(path, mode, owner));
}

/** Who holds a lock: a JSON object, that of the first holder when there are several; undefined when nobody does. */
export function readLockOwner(path: string): string | undefined {
  return readLockOwners(path)[0];
}

/** All holders of a lock, each as a JSON object. */
export function readLockOwners(path: string): readonly string[] {
  return nativeSync(() => addon().readLockOwners(path));
}

/**
 * Writes a whole file, mode 0600: it has its old content or the new one at any time, and the new one is on disk when
 * the promise resolves.
 * @throws PgmonetaError IO, NO_SPACE
 */
export function writeFileDurable(path: string, data: string | Uint8Array, options: WriteOptions = {}): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.length);
  return native(() => addon().writeFileDurable(path, bytes, options.replace ?? true));
}

/**
 * Copies a file durably, mode 0600, by reflink or within the kernel where the system can. Links are not followed.
 * @returns the size in bytes
 * @throws PgmonetaError IO, NO_SPACE
 */
export function copyFileDurable(source: string, target: string, options: WriteOptions = {}): Promise<number> {
  return native(() => addon().copyFileDurable(source, target, options.replace ?? true));
}

/**
 * SHA-512 of a file's bytes: 128 lower-case hexadecimal digits. Links are not followed.
 * @throws PgmonetaError IO
 */
export function hashFileSha512(path: string): Promise<string> {
  return native(() => addon().hashFileSha512(path));
}

/**
 * Creates a directory, mode 0700, that must not exist yet, and makes its name durable.
 * @throws PgmonetaError IO, NO_SPACE
 */
export function createDirectoryExclusive(path: string): Promise<void> {
  return native(() => addon().createDirectoryExclusive(path));
}

/**
 * Makes the entries of a directory durable.
 * @throws PgmonetaError IO
 */
export function syncDirectory(path: string): Promise<void> {
  return native(() => addon().syncDirectory(path));
}

/**
 * Makes a whole tree durable: its files, its directories and its own name.
 * @throws PgmonetaError IO, NO_SPACE
 */
export function syncTree(path: string): Promise<void> {
  return native(() => addon().syncTree(path));
}

/**
 * Removes a file or a tree without following links; what is missing is fine.
 * @throws PgmonetaError IO
 */
export function removeTree(path: string): Promise<void> {
  return native(() => addon().removeTree(path));
}

/**
 * Lets two files or directories of one file system change places: in one atomic step on Linux, by three renames
 * elsewhere (a crash between them leaves `a` as `<a>.exchange`).
 * @throws PgmonetaError IO
 */
export function exchange(a: string, b: string): Promise<void> {
  return native(() => addon().exchange(a, b));
}

/**
 * Names of the regular files in a directory, listed and sorted by another thread: ascending by their bytes, in UTF-8, a
 * NUL behind each. Empty when there is no such directory.
 * @throws PgmonetaError IO
 */
export async function listFiles(path: string): Promise<Buffer> {
  return (await native(() => addon().listFiles(path))) ?? Buffer.alloc(0);
}

/**
 * Free space of the file system that holds `path`.
 * @throws PgmonetaError IO
 */
export function freeSpace(path: string): Promise<FreeSpace> {
  return native(() => addon().freeSpace(path));
}
