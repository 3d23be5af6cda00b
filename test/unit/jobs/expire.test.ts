import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobContext } from '../../../src/jobs/context.js';
import { expireJob } from '../../../src/jobs/expire.js';
import type { JsonObject } from '../../../src/jobs/messages.js';
import { acquireLock, type LockHandle } from '../../../src/native/fs.js';
import { formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';
import { labelOf } from '../../../src/repository/label.js';
import { leasePath, serverPaths } from '../../../src/repository/paths.js';
import { temporaryDirectory } from '../temporary.js';
import { configurationIn } from './configuration.js';

/** What somebody does to a backup between the plan and its removal. */

let context: JobContext;
let lines: string[];
/** Runs before each removal. */
let meanwhile: () => void;
let paths: ReturnType<typeof serverPaths>;
const old = (days: number): string => labelOf(new Date(Date.now() - days * 86_400_000));
let [full, child, other, now] = ['', '', '', ''];

function layOut(label: string, parent = ''): void {
  const directory = path.join(paths.backups, label);
  mkdirSync(directory, { recursive: true });
  const more = { label, parent, incremental: parent !== '' };
  writeFileSync(path.join(directory, 'backup.info'), formatBackupInfo({ ...parseBackupInfo('STATUS=1\n'), ...more }));
  writeFileSync(path.join(directory, 'backup.sha512'), '');
}

beforeEach(() => {
  const base = temporaryDirectory();
  paths = serverPaths(base, 'primary');
  [full, child, other, now] = [old(30), old(29), old(28), old(8)] as [string, string, string, string];
  layOut(full);
  layOut(child, full);
  layOut(other);
  layOut(now);
  lines = [];
  meanwhile = () => {};
  context = {
    configuration: configurationIn(base, '7'),
    password: undefined,
    masterSecret: undefined,
    signal: new AbortController().signal,
    progress: () => meanwhile(),
    log: (level, message) => lines.push(`${level} ${message}`),
  };
});

async function actions(): Promise<Record<string, unknown>> {
  const { Backups } = await expireJob({ Server: 'primary' }, context);
  return Object.fromEntries((Backups as JsonObject[]).map(({ Backup, Action }) => [Backup, Action]));
}

describe('between the plan and the removal', () => {
  it('nothing happens: all of it goes', async () => {
    expect(await actions()).toEqual({ [full]: 'remove', [child]: 'remove', [other]: 'remove', [now]: 'keep' });
    expect(readdirSync(paths.backups)).toEqual([now]);
  });

  it('somebody begins to read a backup: it stays, and what it builds upon; the rest goes', async () => {
    let lease: LockHandle | undefined;
    meanwhile = () => {
      lease ??= acquireLock(leasePath(paths, child), 'shared', '{"verb":"restore of primary","pid":1,"since":"now"}');
    };
    expect(await actions()).toEqual({ [full]: 'postponed', [child]: 'postponed', [other]: 'remove', [now]: 'keep' });
    expect(readdirSync(paths.backups)).toEqual([full, child, now]);
    expect(lines.join('\n')).toMatch(
      new RegExp(`expired backup ${child} of primary stays until the next run: .*restore of primary`),
    );
    lease?.release();
    meanwhile = () => {};
    expect(await actions()).toEqual({ [full]: 'remove', [child]: 'remove', [now]: 'keep' });
  });

  it('somebody retains a backup: it stays, and what it builds upon', async () => {
    const file = path.join(paths.backups, child, 'backup.info');
    meanwhile = () => writeFileSync(file, readFileSync(file, 'utf8').replace('KEEP=0', 'KEEP=1'));
    expect(await actions()).toMatchObject({ [full]: 'postponed', [child]: 'postponed', [other]: 'remove' });
    meanwhile = () => {};
    expect(await actions()).toEqual({ [full]: 'keep', [child]: 'keep', [now]: 'keep' });
  });

  it('it is cancelled: what was not begun stays', async () => {
    const abort = new AbortController();
    context = { ...context, signal: abort.signal };
    meanwhile = () => abort.abort(new Error('enough'));
    await expect(expireJob({ Server: 'primary' }, context)).rejects.toThrow('enough');
    expect(readdirSync(paths.backups)).toContain(full);
    expect(readdirSync(paths.backups)).toContain(now);
  });
});
