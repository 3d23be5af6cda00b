import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { durationOf, interrupted, killMoments } from '../support/interrupt.mjs';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { addNoise } from '../support/workload.mjs';

let scene: Scene;
let checksums: Record<string, string>;
const random = seeded('kill -9');

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 5000 }, settings: { encryption: 'aes-256-gcm' } });
  await addNoise(scene.server, 40);
  checksums = await checksumEveryTable(scene.server);
});
afterAll(() => scene?.close());

const duration = (...args: string[]) => durationOf(() => scene.pgmoneta.must(...args));

describe('of a backup', () => {
  let usual = 0;
  beforeAll(async () => {
    usual = await duration('backup', 'primary');
  });

  test.each(killMoments(10))('moment %i, the %s: nothing is listed that is not whole', async (_n, victim) => {
    const { pgmoneta } = scene;
    const before = pgmoneta.backupsOnDisk();
    const result = await interrupted(scene.pgmoneta, { victim, delay: random() * usual * 1.1 }, 'backup', 'primary');
    const added = pgmoneta.backupsOnDisk().filter((label: string) => !before.includes(label));
    if (result.exit === 0) expect(added).toEqual([JSON.parse(result.stdout).Response.Backup]);
    else expect(result.stdout + result.stderr).not.toBe('');
    await until('an empty staging directory', () => pgmoneta.stagingOnDisk().length === 0, { timeout: 5000 });
    const listed = (await pgmoneta.must('list-backup', 'primary')).Backups;
    expect(listed.map(({ Backup }: { Backup: string }) => Backup)).toEqual(pgmoneta.backupsOnDisk());
    for (const { Backup, Valid } of listed) {
      expect(Valid, Backup).toBe('yes');
      if (added.includes(Backup)) expect((await pgmoneta.must('verify', 'primary', Backup)).Files.Failed).toEqual({});
    }
  });

  test('and the next one works', async () => {
    const label = await scene.pgmoneta.backup();
    for (const other of scene.pgmoneta.backupsOnDisk()) {
      if (other !== label) await scene.pgmoneta.must('delete', 'primary', other);
    }
    expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
  });
});

describe('of a restore', () => {
  let usual = 0;
  const args = () => ['restore', 'primary', 'newest', scene.pgmoneta.restored];
  beforeAll(async () => {
    usual = await duration(...args());
  });
  beforeEach(() => scene.pgmoneta.clearRestored());

  test.each(killMoments(10))('moment %i, the %s: nothing is left that looks like a cluster', async (_n, victim) => {
    const { pgmoneta } = scene;
    const target = path.join(pgmoneta.restored, `primary-${pgmoneta.backupsOnDisk().at(-1)}`);
    const result = await interrupted(pgmoneta, { victim, delay: random() * usual * 1.1 }, ...args());
    if (result.exit === 0) {
      expect(existsSync(path.join(target, 'global', 'pg_control'))).toBe(true);
      return;
    }
    expect(result.stdout + result.stderr).not.toBe('');
    // Either the rename had happened, and then all is there, or nothing carries the name.
    if (!existsSync(target)) {
      const halves = readdirSync(pgmoneta.restored).filter((name) => !name.startsWith('.'));
      const ready = halves.filter((name) => existsSync(path.join(pgmoneta.restored, name, 'global', 'pg_control')));
      expect(ready).toEqual([]);
    } else expect(existsSync(path.join(target, 'global', 'pg_control'))).toBe(true);
  });

  test('and the next one works, over whatever was left', async () => {
    const directory = await scene.pgmoneta.restore();
    const hidden = readdirSync(scene.pgmoneta.restored).filter((name) => name.startsWith('.'));
    expect(hidden).toEqual([]);
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
  });
});
