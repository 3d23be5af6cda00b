import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashProblems, repositoryProblems } from '../support/history.mjs';
import { durationOf, interrupted, killMoments } from '../support/interrupt.mjs';
import { seeded } from '../support/random.mjs';
import { makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';

/** kill -9 of those who only read backups, archive and verification: what they read is as it was, what they make is whole or not there. */

let scene: Scene;
let child: string;
const random = seeded('kill -9 of readers');

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 3000, tablespaces: false },
    settings: { compression: 'zstd' },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  const full = await scene.pgmoneta.backup();
  await scene.server.sql('UPDATE main_table SET number = number + 1 WHERE id % 9 = 0');
  child = (await scene.pgmoneta.must('backup', 'primary', full)).Backup;
  await scene.server.stop();
});
afterAll(() => scene?.close());

async function untouched(): Promise<void> {
  const { pgmoneta } = scene;
  const { Backups } = await pgmoneta.must('list-backup', 'primary');
  expect(Backups.map(({ Valid }: { Valid: string }) => Valid)).toEqual(['yes', 'yes']);
  expect(repositoryProblems(pgmoneta)).toEqual([]);
}

describe('of an archive', () => {
  let usual = 0;
  let place: string;
  let names: string[];
  const listed = (file: string) =>
    execFileSync('bash', ['-o', 'pipefail', '-c', `zstd -dcq '${file}' | tar t`], { encoding: 'utf8' });
  const file = () => path.join(place, `archive-primary-${child}.tar.zstd`);

  beforeAll(async () => {
    place = makeDirectory(path.join(scene.pgmoneta.base, 'archives'));
    usual = await durationOf(() => scene.pgmoneta.must('archive', 'primary', 'newest', place));
    names = listed(file()).split('\n').sort();
    expect(names).toContain(`primary-${child}/PG_VERSION`);
  });

  test.each(killMoments(4))('moment %i, the %s: a whole archive or none', async (_n, victim) => {
    const { pgmoneta } = scene;
    rmSync(file(), { force: true });
    const how = { victim, delay: random() * usual, from: 'job' } as const;
    const { exit, stdout } = await interrupted(pgmoneta, how, 'archive', 'primary', 'newest', place);
    if (exit === 0) expect(existsSync(file())).toBe(true);
    if (existsSync(file())) {
      expect(listed(file()).split('\n').sort()).toEqual(names);
      const digest = createHash('sha512').update(readFileSync(file())).digest('hex');
      if (exit === 0) expect(JSON.parse(stdout).Response.SHA512).toBe(digest);
    }
    await untouched();
    // The next one works, and clears away what was left.
    await pgmoneta.must('archive', 'primary', 'newest', place, '--force');
    expect(readdirSync(place)).toEqual([path.basename(file())]);
    expect(listed(file()).split('\n').sort()).toEqual(names);
  });
});

describe('of a verification', () => {
  let usual = 0;
  const memory = () => path.join(scene.pgmoneta.repository, 'primary', '.verified.json');
  beforeAll(async () => {
    usual = await durationOf(() => scene.pgmoneta.must('verify', 'primary', child));
  });

  test.each(killMoments(4))('moment %i, the %s: the backup and the memory are whole', async (_n, victim) => {
    const { pgmoneta } = scene;
    const how = { victim, delay: random() * usual, from: 'job' } as const;
    const { exit, stdout } = await interrupted(pgmoneta, how, 'verify', 'primary', child);
    expect(() => JSON.parse(readFileSync(memory(), 'utf8'))).not.toThrow();
    const { VerifiedAt, Verified } = await pgmoneta.must('info', 'primary', child);
    expect(Verified).toBe('good');
    if (exit === 0) expect(VerifiedAt).toBe(JSON.parse(stdout).Response.VerifiedAt);
    expect(hashProblems(pgmoneta.backupDirectory(child))).toBe('');
    await untouched();
    expect(await pgmoneta.must('verify', 'primary', child)).toMatchObject({ Valid: 'yes', NumberOfFailed: 0 });
  });
});
