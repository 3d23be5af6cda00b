import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PgmonetaError } from '../errors/index.js';
import { makeDirectories } from './directories.js';
import type { ServerPaths } from './paths.js';

const LABEL = /^[0-9]{14}$/;

/** Whether a text has the form of a backup label, `YYYYMMDDHHMMSS`. */
export function isBackupLabel(text: string): boolean {
  return LABEL.test(text);
}

/** The label of a moment: local time of this host, as pgmoneta 0.21 has it. */
export function labelOf(moment: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  return (
    String(moment.getFullYear()).padStart(4, '0') +
    two(moment.getMonth() + 1) +
    two(moment.getDate()) +
    two(moment.getHours()) +
    two(moment.getMinutes()) +
    two(moment.getSeconds())
  );
}

/** The moment that a label means: local time of this host. Of an hour that happens twice it is the first. */
export function timeOfLabel(label: string): Date {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = [
    label.slice(0, 4),
    ...(label.slice(4).match(/../g) ?? []),
  ].map(Number);
  return new Date(year, month - 1, day, hour, minute, second);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Reserves a label: makes its staging directory, which nobody else can have. When the second is taken already, or
 * when the clock was set back behind the newest backup, the next free second is waited for (at most `patience`
 * seconds), so that labels stay unique and in order.
 * @param newest label of the newest backup, when there is one
 */
export async function reserveLabel(
  paths: ServerPaths,
  newest: string | undefined,
  patience = 10,
): Promise<{ label: string; directory: string }> {
  await makeDirectories(paths.staging);
  await makeDirectories(paths.backups);
  for (let tries = 0; tries <= patience; tries++) {
    const label = labelOf(new Date());
    const free = (newest === undefined || label > newest) && !(await exists(join(paths.backups, label)));
    if (free) {
      const directory = join(paths.staging, label);
      try {
        await mkdir(directory, { mode: 0o700 });
        return { label, directory };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    await sleep(1000 - (Date.now() % 1000) + 5);
  }
  throw new PgmonetaError(
    'BACKUP_SETUP',
    `no label is free: the newest backup is ${newest ?? '(none)'}, and the clock of this host says ${labelOf(new Date())}`,
    { hint: 'check the clock and the time zone of this host; labels have to grow' },
  );
}
