import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { acquireLock, type LockHandle, readLockOwner } from '../native/fs.js';
import { makeDirectories } from './directories.js';

/** Who holds a lock, as a refused process can read it. */
export interface LockOwner {
  readonly verb: string;
  readonly pid: number;
  /** ISO time. */
  readonly since: string;
}

/**
 * Takes a lock that the operating system releases when this process ends, however it ends.
 * @param refusal the error of the verb when somebody else has the lock
 * @throws PgmonetaError `refusal`, naming the holder
 */
export async function lock(
  path: string,
  mode: 'shared' | 'exclusive',
  verb: string,
  refusal: ErrorCode,
): Promise<LockHandle> {
  await makeDirectories(dirname(path));
  const owner: LockOwner = { verb, pid: process.pid, since: new Date().toISOString() };
  try {
    return acquireLock(path, mode, JSON.stringify(owner));
  } catch (error) {
    if (!(error instanceof PgmonetaError) || error.code !== 'REPOSITORY_LOCKED') throw error;
    throw new PgmonetaError(refusal, `${verb} refused: ${describeOwner(path)}`, {
      cause: error,
      retryable: true,
      context: { lock: path },
    });
  }
}

/** Who holds a lock now; undefined when nobody does, or it does not say. */
export function lockOwner(path: string): LockOwner | undefined {
  try {
    return JSON.parse(readLockOwner(path) ?? '') as LockOwner;
  } catch {
    return undefined;
  }
}

function describeOwner(path: string): string {
  const owner = lockOwner(path);
  return owner === undefined
    ? `another process holds ${path}`
    : `${owner.verb} (PID ${owner.pid}) has been running since ${owner.since}`;
}

const LOCK_PAUSE_MS = 200;

/**
 * The same as {@link lock}, but waits for a holder that is soon done.
 * @param patience in milliseconds
 * @throws PgmonetaError `refusal` when the holder took longer; CANCELLED
 */
export async function lockPatiently(
  path: string,
  mode: 'shared' | 'exclusive',
  verb: string,
  refusal: ErrorCode,
  patience: number,
  signal: AbortSignal,
): Promise<LockHandle> {
  const deadline = performance.now() + patience;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await lock(path, mode, verb, refusal);
    } catch (error) {
      if (!(error instanceof PgmonetaError) || error.code !== refusal || performance.now() > deadline) throw error;
    }
    await pause(LOCK_PAUSE_MS);
  }
}
