import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';

/** What a PID file says. */
interface PidFile {
  readonly path: string;
  readonly pid: number;
  /** Whether such a process runs on this machine. */
  readonly alive: boolean;
}

async function readPidFile(dataDirectory: string): Promise<PidFile | undefined> {
  const path = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  const pid = Number.parseInt(text ?? '', 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return { path, pid, alive: false };
  }
  return { path, pid, alive: true };
}

/** The PID of the server that runs in a data directory; undefined when none does that can be seen from here. */
export async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const found = await readPidFile(dataDirectory);
  return found?.alive ? found.pid : undefined;
}

/**
 * A PID file of a process that does not run here is refused as well: copies lie on file systems that other machines use,
 * and a server there must not lose its files.
 * @throws PgmonetaError HOT_STANDBY when a server runs in a copy, or may do so
 */
export async function refuseRunningCopy(dataDirectory: string): Promise<void> {
  const found = await readPidFile(dataDirectory);
  if (found === undefined) return;
  const { path, pid, alive } = found;
  if (alive) {
    throw new PgmonetaError(
      'HOT_STANDBY',
      `a server with PID ${pid} runs in ${dataDirectory}, which is left as it is`,
      {
        hint: `stop it (pg_ctl -D ${dataDirectory} stop) when the copy is to follow the backups again; to keep it, move it away or take it out of hot_standby`,
        retryable: true,
      },
    );
  }
  const message = `${dataDirectory} is left as it is: there is ${path}, but no process ${pid} on this machine`;
  throw new PgmonetaError('HOT_STANDBY', message, {
    hint: 'a server runs in it on another machine, or has crashed: when there is none, remove that file',
    retryable: true,
  });
}
