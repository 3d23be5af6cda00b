import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';

/** The PID of the server that runs in a data directory; undefined when none does. A PID file that is left over counts for nothing. */
export async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => undefined);
  const pid = Number.parseInt(text ?? '', 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  return pid;
}

/** @throws PgmonetaError HOT_STANDBY when a server runs there */
export async function refuseRunningCopy(dataDirectory: string): Promise<void> {
  const pid = await runningServer(dataDirectory);
  if (pid === undefined) return;
  throw new PgmonetaError('HOT_STANDBY', `a server with PID ${pid} runs in ${dataDirectory}, which is left as it is`, {
    hint: `stop it (pg_ctl -D ${dataDirectory} stop) when the copy is to follow the backups again; to keep it, move it away or take it out of hot_standby`,
    retryable: true,
  });
}
