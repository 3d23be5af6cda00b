import { setTimeout as pause } from 'node:timers/promises';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import type { LockHandle } from '../native/fs.js';
import { lock, lockOwner } from '../repository/locks.js';
import type { ServerPaths } from '../repository/paths.js';
import type { JobContext } from './context.js';

/** What the daemon does by itself, and is soon done with. Nobody who asks for something is refused because of it. */
const HOUSEKEEPING = /^(expiry|sweep) of /;

/** How long it is waited for, in milliseconds: a removal can be of many files. */
const PATIENCE_MS = 300_000;

/** How long a holder may be unknown, in milliseconds: it has just let go, or has not said yet who it is. */
const UNKNOWN_MS = 2_000;

const PAUSE_MS = 100;

/**
 * Takes the lock of whoever adds or removes backups of a server. It waits for an expiry or a sweep to end; another
 * backup or deletion is told at once.
 * @param verb for whoever is refused: `backup of primary`
 * @param patience how long housekeeping is waited for, in milliseconds
 * @throws PgmonetaError `refusal`, naming the holder; the reason of the signal when the job is cancelled meanwhile
 */
export async function lockWriter(
  { writerLock }: ServerPaths,
  verb: string,
  refusal: ErrorCode,
  { signal, log }: Pick<JobContext, 'signal' | 'log'>,
  patience = PATIENCE_MS,
): Promise<LockHandle> {
  const start = performance.now();
  let unknown: number | undefined;
  let told = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await lock(writerLock, 'exclusive', verb, refusal);
    } catch (error) {
      if (!(error instanceof PgmonetaError) || error.code !== refusal) throw error;
      const owner = lockOwner(writerLock);
      const now = performance.now();
      if (owner === undefined) {
        unknown ??= now;
        if (now - unknown >= UNKNOWN_MS) throw error;
      } else {
        unknown = undefined;
        if (!HOUSEKEEPING.test(owner.verb) || now - start >= patience) throw error;
        if (!told) log('info', `${verb} waits for the ${owner.verb} (PID ${owner.pid})`);
        told = true;
      }
    }
    await pause(PAUSE_MS);
  }
}
