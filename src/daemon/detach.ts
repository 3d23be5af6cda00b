import { spawn } from 'node:child_process';
import { PgmonetaError } from '../errors/index.js';
import { packError, unpackError, type WireError } from '../jobs/messages.js';

/** Set in the environment of the process that becomes the daemon. */
const MARK = 'PGMONETA_DETACHED';

/** How long the daemon may take to start, in milliseconds: a repository may have much to sweep. */
const PATIENCE = 300_000;

interface Started {
  readonly failed?: WireError;
}

/**
 * Starts this program again in the background, in a session of its own, and waits until it says that it runs. So an
 * exit status of 0 means that the daemon is there, and a refusal is seen by whoever typed the command.
 */
export async function detach(): Promise<number> {
  const program = process.argv[1];
  if (program === undefined) throw new PgmonetaError('INTERNAL', 'the program does not know its own path');
  const args = process.argv.slice(2).filter((argument) => argument !== '-d' && argument !== '--daemon');
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, [MARK]: '1' },
    serialization: 'advanced',
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new PgmonetaError('INTERNAL', `the daemon did not start within ${PATIENCE / 1000} seconds`)),
      PATIENCE,
    );
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      if (child.connected) child.disconnect();
      child.unref();
      finish();
    };
    child.on('message', (message: Started) =>
      settle(() => (message.failed === undefined ? resolve(0) : reject(unpackError(message.failed)))),
    );
    child.on('error', (error) => settle(() => reject(error)));
    child.on('exit', (code, signal) =>
      settle(() =>
        reject(
          new PgmonetaError('INTERNAL', `the daemon ended while it started (${signal ?? `status ${code}`})`, {
            hint: 'see its log',
          }),
        ),
      ),
    );
  });
}

/** Tells the process that started us how the start went. */
export function reportStarted(error?: PgmonetaError): void {
  if (process.env[MARK] === undefined || process.send === undefined || !process.connected) return;
  const message: Started = error === undefined ? {} : { failed: packError(error) };
  process.send(message, undefined, {}, () => {
    if (process.connected) process.disconnect();
  });
}
