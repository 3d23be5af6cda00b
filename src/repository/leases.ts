import { unlink } from 'node:fs/promises';
import type { ErrorCode } from '../errors/index.js';
import { type LockHandle, readLockOwners } from '../native/fs.js';
import { type LockOwner, lock } from './locks.js';
import { leasePath, type ServerPaths } from './paths.js';

/**
 * Leases backups for reading: as long as they are held, nobody removes or replaces one of them. To be taken while the
 * catalogue lock is held, so that what was chosen is still there; that lock can go afterwards.
 * @param verb for whoever is refused: `restore of primary`
 * @throws PgmonetaError `refusal` when one of them is being removed
 */
export async function leaseBackups(
  paths: ServerPaths,
  labels: readonly string[],
  verb: string,
  refusal: ErrorCode,
): Promise<LockHandle> {
  const held: LockHandle[] = [];
  const release = (): void => {
    for (const one of held.splice(0)) one.release();
  };
  try {
    for (const label of labels) held.push(await lock(leasePath(paths, label), 'shared', verb, refusal));
  } catch (error) {
    release();
    throw error;
  }
  return { release };
}

/**
 * Takes a backup for removal or replacement.
 * @throws PgmonetaError `refusal`, naming a reader
 */
export function claimBackup(paths: ServerPaths, label: string, verb: string, refusal: ErrorCode): Promise<LockHandle> {
  return lock(leasePath(paths, label), 'exclusive', verb, refusal);
}

/** Forgets the lease of a backup that is gone. Its claim and the catalogue lock have to be held, so that nobody else has it open. */
export async function dropLease(paths: ServerPaths, label: string): Promise<void> {
  await unlink(leasePath(paths, label)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Who reads a backup now, in words; undefined when nobody does. */
export function readerOf(paths: ServerPaths, label: string): string | undefined {
  const [first] = readLockOwners(leasePath(paths, label));
  if (first === undefined) return undefined;
  try {
    const owner = JSON.parse(first) as LockOwner;
    return `${owner.verb} (PID ${owner.pid}) has been reading it since ${owner.since}`;
  } catch {
    return 'another process is reading it';
  }
}
