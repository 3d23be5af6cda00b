import { readFileSync, unlinkSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Configuration } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';

/** Where the PID file is: the setting, else `<unix_socket_dir>/pgmoneta.<host>.pid` with `all` for `*`. */
export function pidFilePath(main: Configuration['main']): string {
  if (main.pidfile) return main.pidfile;
  return join(main.unix_socket_dir, `pgmoneta.${main.host === '*' ? 'all' : main.host}.pid`);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** What the process behind a PID runs, where the system tells; empty when it does not. */
async function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

/** Whether a process has ended and only its parent has not taken note yet, as in containers without an init. */
async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may hold anything; the state follows the last of them.
  return /^ [ZX]/.test(stat.slice(stat.lastIndexOf(')') + 1));
}

/** Whether a PID file's content belongs to a daemon that is still there. */
async function isLive(text: string): Promise<boolean> {
  const pid = Number.parseInt(text, 10);
  if (!Number.isSafeInteger(pid) || pid <= 1 || pid === process.pid || !alive(pid)) return false;
  if (await isZombie(pid)) return false;
  const command = await commandOf(pid);
  return command === '' || command.includes('pgmoneta');
}

/**
 * Writes the PID file. One that a crashed daemon left is recognised and replaced; a live one refuses the start.
 * @returns removes it again, if it is still ours
 */
export async function writePidFile(path: string): Promise<() => void> {
  for (let tries = 0; ; tries++) {
    try {
      const handle = await open(path, 'wx', 0o640);
      await handle.writeFile(`${process.pid}\n`);
      await handle.close();
      return () => removeOwn(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tries > 2) {
        throw new PgmonetaError('IO', `the PID file ${path} cannot be written: ${(error as Error).message}`, {
          cause: error,
          hint: 'check pidfile or unix_socket_dir and their permissions',
        });
      }
    }
    const text = await readFile(path, 'utf8').catch(() => '');
    if (await isLive(text)) {
      throw new PgmonetaError('REPOSITORY_LOCKED', `PID file ${path} belongs to the running daemon ${text.trim()}`, {
        hint: 'stop that daemon first, or give this one its own pidfile, unix_socket_dir and base_dir',
      });
    }
    removeStale(path);
  }
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new PgmonetaError('IO', `the stale PID file ${path} cannot be removed: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}

function removeOwn(path: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() === String(process.pid)) unlinkSync(path);
  } catch {
    // Somebody removed it already.
  }
}
