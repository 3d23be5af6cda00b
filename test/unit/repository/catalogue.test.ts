import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeMissing, findBackup, listBackups } from '../../../src/repository/catalogue.js';
import { type ServerPaths, serverPaths } from '../../../src/repository/paths.js';

let base: string;
let paths: ServerPaths;

async function backup(label: string, status: string | undefined, sha512 = true): Promise<void> {
  const directory = join(paths.backups, label);
  await mkdir(directory, { recursive: true });
  if (status !== undefined) await writeFile(join(directory, 'backup.info'), `STATUS=${status}\nLABEL=${label}\n`);
  if (sha512) await writeFile(join(directory, 'backup.sha512'), '');
}

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'pgmoneta-catalogue-'));
  paths = serverPaths(base, 'primary');
});
afterEach(() => rm(base, { recursive: true }));

describe('the catalogue', () => {
  it('is empty for a server without a directory', async () => {
    expect(await listBackups(paths)).toEqual([]);
  });

  it('tells valid, invalid and unknown apart', async () => {
    await backup('20260101000000', '1');
    await backup('20260102000000', '0');
    await backup('20260103000000', '1', false);
    await backup('20260104000000', undefined);
    const found = await listBackups(paths);
    expect(found.map(({ label, validity }) => [label, validity])).toEqual([
      ['20260101000000', 'valid'],
      ['20260102000000', 'invalid'],
      ['20260103000000', 'invalid'],
      ['20260104000000', 'unknown'],
    ]);
    expect(found[2]?.problem).toContain('backup.sha512 is missing');
  });

  it('takes nothing for a backup that has no label for a name', async () => {
    await mkdir(join(paths.backups, '.tmp_20260101000000'), { recursive: true });
    await mkdir(join(paths.backups, 'lost+found'));
    await writeFile(join(paths.backups, '20260101000000'), 'a file');
    expect(await listBackups(paths)).toEqual([]);
  });

  it('finds oldest, newest and latest among the valid ones only, a label always', async () => {
    await backup('20260101000000', '0');
    await backup('20260102000000', '1');
    await backup('20260103000000', '1');
    await backup('20260104000000', undefined);
    const backups = await listBackups(paths);
    expect(findBackup(backups, 'oldest')?.label).toBe('20260102000000');
    expect(findBackup(backups, 'newest')?.label).toBe('20260103000000');
    expect(findBackup(backups, 'latest')?.label).toBe('20260103000000');
    expect(findBackup(backups, '20260101000000')?.label).toBe('20260101000000');
    expect(findBackup(backups, '../20260101000000')).toBeUndefined();
    expect(describeMissing('primary', '20250101000000', backups)).toContain('it has 20260101000000');
  });

  it('does not believe a backup.info that belongs to another backup', async () => {
    await backup('20260101000000', '1');
    await writeFile(join(paths.backups, '20260101000000', 'backup.info'), 'STATUS=1\nLABEL=20250101000000\n');
    expect((await listBackups(paths))[0]?.validity).toBe('invalid');
  });
});
