import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PgmonetaError } from '../errors/index.js';

const WAIT_MS = 10_000;
const POLL_MS = 50;

interface Holder {
  readonly pid: number;
  readonly host: string;
}

function parseHolder(text: string): Holder | null {
  const match = /^([0-9]{1,10}) ([^\s]+)\n$/.exec(text);
  return match === null ? null : { pid: Number(match[1]), host: match[2] as string };
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Takes a lock away from a process that is gone. Only one of several that try succeeds. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Somebody may have taken over between the look and the rename: what was moved is then a live lock; put it back.
  const moved = await readFile(aside, 'latin1');
  if (moved !== stale) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function tryLock(path: string): Promise<boolean> {
  // The content is complete before the lock has its name, so a reader never sees half of it.
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  const handle = await open(own, 'wx', 0o600);
  try {
    await handle.writeFile(`${process.pid} ${hostname()}\n`);
  } finally {
    await handle.close();
  }
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

/**
 * Runs work while holding a lock file, which names the process and host that hold it. A lock of a process that is
 * gone is taken over; a live one is waited for.
 * @throws PgmonetaError ADMIN_REFUSED when the lock is not free within 10 seconds
 */
export async function withLockFile<T>(path: string, work: () => Promise<T>, waitMs: number = WAIT_MS): Promise<T> {
  const deadline = performance.now() + waitMs;
  while (!(await tryLock(path))) {
    const text = await readFile(path, 'latin1').catch(() => '');
    const holder = parseHolder(text);
    if (holder !== null && !isAlive(holder)) {
      await removeStale(path, text);
      continue;
    }
    if (performance.now() > deadline) {
      const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`;
      throw new PgmonetaError('ADMIN_REFUSED', `the lock ${path} is held by ${who}`, {
        hint: `wait for it to end; when it is not running any more: rm ${path}`,
        context: { path },
        retryable: true,
      });
    }
    await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}
