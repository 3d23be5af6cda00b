import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount, mount } from '../support/disk.mjs';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';
import { addNoise } from '../support/workload.mjs';

let scene: Scene;
const mounted: (() => void)[] = [];

function mounting(directory: string, megabytes: number) {
  mounted.push(mount(directory, megabytes));
}

beforeAll(async () => {
  const server = { settings: { summarize_wal: 'on' } };
  scene = await Scene.open(17, { workload: { rows: 1000 }, start: false, server });
  await addNoise(scene.server, 24);
});
afterAll(async () => {
  await scene?.pgmoneta.stop();
  for (const unmount of mounted) unmount();
  await scene?.close();
});

describe.runIf(canMount())('on a small file system', () => {
  beforeAll(async () => {
    // The daemon keeps two plain segments of WAL there (the open one and its spare), 16 MiB each.
    mounting(scene.pgmoneta.repository, 160);
    await scene.pgmoneta.start();
  });

  test('a backup that cannot fit is refused before it starts, with both numbers', async () => {
    const filler = path.join(scene.pgmoneta.repository, 'filler');
    fill(filler);
    const result = await scene.pgmoneta.json('backup', 'primary').finally(() => rmSync(filler));
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toMatch(/space|free/i);
    expect(result.document.Outcome.Message).toMatch(/\d/);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual([]);
    expect(scene.pgmoneta.stagingOnDisk()).toEqual([]);
  });

  test('a disk that fills up in the middle: a clear error, nothing kept, the next works', async () => {
    await scene.reconfigure({ max_rate: 10_000_000 });
    const running = scene.pgmoneta.launch('pgmoneta-cli', [
      '-c',
      scene.pgmoneta.configuration,
      '-F',
      'json',
      'backup',
      'primary',
    ]);
    await until('a staged backup', () => scene.pgmoneta.stagingOnDisk().length > 0);
    const filler = path.join(scene.pgmoneta.repository, 'filler');
    fill(filler);
    const result = await running.result.finally(() => rmSync(filler));
    expect(result.exit).toBe(3);
    expect(JSON.parse(result.stdout).Outcome.Message).toMatch(/space|ENOSPC/i);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual([]);
    await until('an empty staging directory', () => scene.pgmoneta.stagingOnDisk().length === 0);
    await scene.reconfigure({ max_rate: 0 });
    const label = await scene.pgmoneta.backup();
    expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
  });

  test('a restore that cannot fit is refused before a byte is written', async () => {
    const small = path.join(scene.pgmoneta.base, 'small');
    mounting(small, 20);
    const result = await scene.pgmoneta.json('restore', 'primary', 'newest', small);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(601);
    expect(result.document.Outcome.Message).toMatch(/space|free/i);
    expect(readdirSync(small)).toEqual([]);
  });

  test('an archive has to fit beside the restored backup that it is made of', async () => {
    const place = path.join(scene.pgmoneta.base, 'archive');
    const plan = await scene.pgmoneta.json('-F', 'raw', 'restore', 'primary', 'newest', '/tmp', '--dry-run');
    const needed = Math.ceil(plan.document.Response.FileSystems[0].Needed / 1024 / 1024);
    mounting(place, Math.ceil(needed * 1.1));
    const result = await scene.pgmoneta.json('archive', 'primary', 'newest', place);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(903);
    expect(result.document.Outcome.Message).toContain(
      `an archive needs ${needed} MB for the restored backup and about`,
    );
    expect(readdirSync(place)).toEqual([]);
  });

  test('a roll-up that cannot fit is refused, one that runs out of space changes nothing', async () => {
    const { pgmoneta, server } = scene;
    const full = pgmoneta.backupsOnDisk().at(-1) as string;
    await server.sql('UPDATE main_table SET number = number + 1 WHERE id % 5 = 0');
    const child = (await pgmoneta.must('backup', 'primary', full)).Backup;
    const filler = path.join(pgmoneta.repository, 'filler');
    fill(filler);
    const refused = await pgmoneta.json('delete', 'primary', full).finally(() => rmSync(filler));
    expect(refused.document.Outcome.Error).toBe(507);
    expect(refused.document.Outcome.Message).toMatch(/may take \d+ MB, and .* has \d+ MB free/);
    const running = pgmoneta.launch('pgmoneta-cli', [
      ...['-c', pgmoneta.configuration, '-F', 'json', 'delete', 'primary', full],
    ]);
    const work = path.join(pgmoneta.repository, 'primary', '.roll-up', child);
    await until('a roll-up', () => existsSync(work) || running.child.exitCode !== null, { interval: 2 });
    fill(filler);
    const { exit, stdout } = await running.result.finally(() => rmSync(filler));
    if (exit !== 0) {
      expect(JSON.parse(stdout).Outcome.Error).toBe(507);
      expect(JSON.parse(stdout).Outcome.Message).toMatch(/space|ENOSPC/i);
      expect(pgmoneta.backupsOnDisk()).toEqual([full, child]);
      expect(existsSync(work)).toBe(false);
      for (const label of [full, child]) {
        expect((await pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
      }
      await pgmoneta.must('delete', 'primary', full);
    }
    expect(pgmoneta.backupsOnDisk()).toEqual([child]);
    expect((await pgmoneta.must('verify', 'primary', child)).Files.Failed).toEqual({});
  });

  test('tablespaces are counted on their own file system', async () => {
    const small = path.join(scene.pgmoneta.base, 'small-ts');
    mounting(small, 1);
    const args = ['restore', 'primary', 'newest', scene.pgmoneta.restored, '--tablespace-map', `fast=${small}/ts`];
    const result = await scene.pgmoneta.json(...args);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(601);
    expect(result.document.Outcome.Message).toContain(small);
  });

  test('a disk that fills up during a restore leaves no cluster behind', async () => {
    const medium = path.join(scene.pgmoneta.base, 'medium');
    mounting(medium, 110);
    const running = scene.pgmoneta.launch('pgmoneta-cli', [
      '-c',
      scene.pgmoneta.configuration,
      '-F',
      'json',
      'restore',
      'primary',
      'newest',
      medium,
    ]);
    await until('the first files', () => readdirSync(medium).length > 0, { interval: 2 });
    fill(path.join(medium, 'filler'));
    const result = await running.result;
    const target = path.join(medium, `primary-${scene.pgmoneta.backupsOnDisk().at(-1)}`);
    if (result.exit === 0) expect(existsSync(path.join(target, 'global', 'pg_control'))).toBe(true);
    else {
      expect(JSON.parse(result.stdout).Outcome.Message).toMatch(/space|ENOSPC/i);
      expect(existsSync(target)).toBe(false);
    }
  });
});

/** Writes until the file system is full. */
function fill(file: string) {
  try {
    for (let n = 0; n < 200; n++) writeFileSync(`${file}`, Buffer.alloc(1024 * 1024), { flag: 'a' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

describe('with a limit on the size of files', () => {
  test('a backup fails clearly, and the next works', async () => {
    await scene.pgmoneta.stop();
    scene.pgmoneta.configure({ base_dir: path.join(scene.pgmoneta.base, 'limited') });
    // 4 MiB in units of 512 bytes: the noise table does not fit into that.
    await scene.pgmoneta.start({ wrap: ['/bin/sh', '-c', 'ulimit -f 8192 && exec "$@"', 'sh'] });
    const result = await scene.pgmoneta.json('backup', 'primary');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Message).toMatch(/too large|EFBIG|File size/i);
    const backups = path.join(scene.pgmoneta.base, 'limited', 'primary', 'backup');
    expect(readdirSync(backups)).toEqual([]);
    await scene.pgmoneta.stop();
    await scene.pgmoneta.start();
    await scene.pgmoneta.backup();
    expect(readdirSync(backups)).toHaveLength(1);
  });
});
