import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/lib/servers.mjs';
import { checksumEveryTable } from '../support/compare.mjs';
import { LOAD_TABLES, WriteLoad } from '../support/load.mjs';
import { NO_REFEREES, referee, verifyBackup } from '../support/referees.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';

/** All regular files below a directory, links not followed. */
function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  let scene: Scene;
  let load: WriteLoad;
  let label: string;
  let checksums: Record<string, string>;
  let directory: string;

  beforeAll(async () => {
    // The relation above 1 GiB once: it takes a while, and the code does not depend on the version.
    scene = await Scene.open(major, { workload: { big: major === 17 } });
    load = await new WriteLoad(scene.server).start();
  });
  afterAll(() => scene?.close());

  test('is backed up while it is written to', async () => {
    const before = load.committed;
    label = await scene.pgmoneta.backup();
    await load.stop();
    expect(load.failure).toBeUndefined();
    expect(load.committed).toBeGreaterThan(before);
    checksums = await checksumEveryTable(scene.server, { except: LOAD_TABLES });
    expect(label).toMatch(/^\d{14}$/);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual([label]);
    expect(scene.pgmoneta.stagingOnDisk()).toEqual([]);
  });

  test('is stored with 0600 and 0700, and sha512sum agrees', () => {
    const stored = scene.pgmoneta.backupDirectory(label);
    const open = files(stored).filter((file) => (statSync(file).mode & 0o077) !== 0);
    expect(open).toEqual([]);
    expect(lstatSync(stored).mode & 0o777).toBe(0o700);
    const check = spawnSync('sha512sum', ['--check', '--quiet', '--strict', 'backup.sha512'], {
      cwd: stored,
      encoding: 'utf8',
    });
    expect(check.stdout + check.stderr).toBe('');
    expect(check.status).toBe(0);
  });

  test('verifies', async () => {
    const response = await scene.pgmoneta.must('verify', 'primary', 'newest');
    expect(response.Files.Failed).toEqual({});
  });

  test('is restored', async () => {
    directory = await scene.pgmoneta.restore('newest');
    expect(path.basename(directory)).toBe(`primary-${label}`);
    const leftovers = files(directory).filter((file) => /\.(zstd|gz|lz4|bz2|aes|partial|tmp)$/.test(file));
    expect(leftovers).toEqual([]);
    expect(lstatSync(directory).mode & 0o777).toBe(0o700);
  });

  test.skipIf(!referee(major))(`is accepted by pg_verifybackup (${NO_REFEREES})`, () => {
    const result = verifyBackup(directory, major);
    expect(result.output).toContain('successfully verified');
    expect(result.exit).toBe(0);
  });

  test('starts, is sound, and holds what the source held at the end of the backup', async () => {
    const info = await scene.pgmoneta.must('info', 'primary', label);
    const atLeast = await load.committedBefore(`${info.EndHiLSN}/${info.EndLoLSN}`);
    expect(atLeast).toBeGreaterThan(0);
    const load_ = { atLeast, atMost: load.sent };
    expect(await proveRestored(major, directory, { checksums, except: LOAD_TABLES, load: load_ })).toEqual([]);
  });
});
