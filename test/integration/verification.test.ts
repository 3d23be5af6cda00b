import { chmodSync, copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneBackup, daysAgo, hashProblems } from '../support/history.mjs';
import { until } from '../support/processes.mjs';
import { give } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
let template: string;
let days = 60;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 500 } });
  template = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());

/** A backup whose files are its own. */
const past = (): string => cloneBackup(scene.pgmoneta, template, { time: daysAgo(days--), copy: true });
const inBackup = (label: string, name: string): string => path.join(scene.pgmoneta.backupDirectory(label), name);

/** A stored relation of the backup. */
function relation(label: string): string {
  const directory = inBackup(label, 'data/base/1');
  const name = readdirSync(directory).find((entry) => entry.startsWith('1259.')) ?? '1259';
  return path.join(directory, name);
}

function flipByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

interface Listed {
  Backup: string;
  Valid: string;
  Verified?: string;
  VerifiedAt?: string;
  Problem?: string;
}

async function listed(label: string): Promise<Listed> {
  const { Backups } = await scene.pgmoneta.must('list-backup', 'primary');
  return Backups.find(({ Backup }: Listed) => Backup === label);
}

const verify = async (label: string) => (await scene.pgmoneta.json('verify', 'primary', label)).document.Response;

describe('verify by hand', () => {
  test('is remembered, and shown', async () => {
    const label = past();
    expect((await listed(label)).VerifiedAt).toBeUndefined();
    const done = await verify(label);
    expect(done).toMatchObject({ Valid: 'yes', NumberOfFailed: 0 });
    expect(done.VerifiedAt).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00$/);
    expect(await listed(label)).toMatchObject({ Verified: 'good', VerifiedAt: done.VerifiedAt });
    expect(await scene.pgmoneta.must('info', 'primary', label)).toMatchObject({
      Verified: 'good',
      VerifiedAt: done.VerifiedAt,
    });
    await scene.reconfigure({});
    expect(await listed(label)).toMatchObject({ VerifiedAt: done.VerifiedAt });
  });

  test.each([
    ['a changed byte', (file: string) => flipByte(file)],
    ['a missing file', (file: string) => rmSync(file)],
    ['a file that is cut off', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 50))],
  ])('%s makes the backup invalid, and when the file is back a verification makes it valid', async (_what, damage) => {
    const { pgmoneta } = scene;
    const label = past();
    const file = relation(label);
    copyFileSync(file, `${pgmoneta.base}/saved`);
    damage(file);
    const done = await verify(label);
    expect(done).toMatchObject({ Valid: 'no', NumberOfFailed: 1 });
    expect(await listed(label)).toMatchObject({ Valid: 'no', Verified: 'damaged' });
    expect(pgmoneta.logTail(200)).toContain(`backup ${label} of primary is not valid any more`);
    // The description and its hash go together; the damaged file is the only thing that is wrong.
    expect(
      hashProblems(pgmoneta.backupDirectory(label))
        .split('\n')
        .filter((line) => /(FAILED)/.test(line)),
    ).toHaveLength(1);
    expect((await verify(label)).Valid).toBe('no');
    copyFileSync(`${pgmoneta.base}/saved`, file);
    give(file);
    expect(await verify(label)).toMatchObject({ Valid: 'yes', NumberOfFailed: 0 });
    expect(await listed(label)).toMatchObject({ Valid: 'yes', Verified: 'good' });
    expect(hashProblems(pgmoneta.backupDirectory(label))).toBe('');
  });

  test('a backup that somebody else made invalid stays so', async () => {
    const label = cloneBackup(scene.pgmoneta, template, { time: daysAgo(days--), valid: false });
    expect(await verify(label)).toMatchObject({ Valid: 'no', NumberOfFailed: 0 });
    expect(await listed(label)).toMatchObject({ Valid: 'no', Verified: 'good' });
  });

  test('a file that belongs to no list is told, and condemns nothing', async () => {
    const label = past();
    writeFileSync(inBackup(label, 'data/surplus'), 'x');
    give(inBackup(label, 'data/surplus'));
    expect(await verify(label)).toMatchObject({ Valid: 'yes', NumberOfFailed: 1 });
    expect(await listed(label)).toMatchObject({ Valid: 'yes', Verified: 'good' });
  });

  test.each([
    ['a file', () => relation],
    ['a directory', () => (label: string) => inBackup(label, 'data/base/1')],
  ])('%s that may not be read is told, and condemns nothing', async (_what, place) => {
    const label = past();
    const found = place()(label);
    chmodSync(found, 0o000);
    const done = await verify(label);
    chmodSync(found, 0o700);
    expect(done.Valid).toBe('yes');
    expect(done.NumberOfFailed).toBeGreaterThan(0);
    expect(await listed(label)).toMatchObject({ Valid: 'yes', Verified: 'unreadable' });
    await scene.pgmoneta.must('delete', 'primary', label);
  });

  test('a damaged description is not believed again, and its hash stays to tell a good copy by', async () => {
    const label = past();
    const info = inBackup(label, 'backup.info');
    const original = readFileSync(info, 'utf8');
    writeFileSync(info, original.replace(/START_WALPOS=.*/, 'START_WALPOS=0/1'));
    expect(await verify(label)).toMatchObject({ Valid: 'no' });
    expect(await verify(label)).toMatchObject({ Valid: 'no', NumberOfFailed: 1 });
    expect(await listed(label)).toMatchObject({ Valid: 'no' });
    writeFileSync(info, original);
    expect(await verify(label)).toMatchObject({ Valid: 'yes', NumberOfFailed: 0 });
  });
});

describe('verification = 2s', () => {
  beforeAll(async () => {
    const { pgmoneta } = scene;
    for (const label of pgmoneta.backupsOnDisk()) {
      if (label !== template) await pgmoneta.must('delete', 'primary', label, '--force');
    }
  });
  afterAll(() => scene.reconfigure({ verification: 0 }));

  test('every backup is verified again and again, the one first whose turn it is', async () => {
    const { pgmoneta } = scene;
    const labels = [past(), past(), past()];
    await scene.reconfigure({ verification: 2 });
    await until('all verified', async () => {
      const all = (await pgmoneta.must('list-backup', 'primary')).Backups;
      return all.every(({ Verified }: Listed) => Verified === 'good');
    });
    const log = pgmoneta.logTail(1000);
    const places = [...labels, template].map((label) => log.indexOf(`verified backup ${label} of primary: no fault`));
    expect(places).toEqual(places.toSorted((x, y) => x - y));
    expect(places[0]).toBeGreaterThan(0);
    const { VerifiedAt } = await listed(labels[0] as string);
    await until('the second time', async () => (await listed(labels[0] as string)).VerifiedAt !== VerifiedAt);
    const [server] = (await pgmoneta.must('status', 'details')).Servers;
    expect(server.Verifications).toBeGreaterThanOrEqual(4);
    expect(server.VerificationsFailed).toBe(0);
  });

  test('a fault makes the backup invalid, is logged and counted, and the next backup does not link to it', async () => {
    const { pgmoneta } = scene;
    const newest = await pgmoneta.backup();
    // Its relations are links to the template's: give it one of its own, and damage that.
    const file = relation(newest);
    copyFileSync(file, `${file}.own`);
    renameSync(`${file}.own`, file);
    give(file);
    flipByte(file);
    await until('the verdict', async () => (await listed(newest)).Valid === 'no');
    expect(pgmoneta.logTail(500)).toContain(`backup ${newest} of primary is not valid any more`);
    await until('the count', async () => (await pgmoneta.must('status', 'details')).Servers[0].VerificationsFailed > 0);
    expect((await pgmoneta.must('info', 'primary', 'newest')).Backup).toBe(template);
    const next = await pgmoneta.backup();
    const json = readFileSync(inBackup(next, 'backup.json'), 'utf8');
    expect(json).toContain(`"Linked": "${template}"`);
    expect(json).not.toContain(`"Linked": "${newest}"`);
    expect(await verify(next)).toMatchObject({ Valid: 'yes', NumberOfFailed: 0 });
    // It is not verified over and over; when it expires is up to retention.
    expect((await listed(newest)).Verified).toBe('damaged');
  });

  test('the memory survives kill -9 at any moment', async () => {
    const { pgmoneta } = scene;
    for (let n = 0; n < 5; n++) {
      await new Promise((resolve) => setTimeout(resolve, 300 * n));
      await pgmoneta.kill();
      expect(() =>
        JSON.parse(readFileSync(path.join(pgmoneta.repository, 'primary', '.verified.json'), 'utf8')),
      ).not.toThrow();
      await pgmoneta.start();
    }
    const { Backups } = await pgmoneta.must('list-backup', 'primary');
    expect(Backups.filter(({ VerifiedAt }: Listed) => VerifiedAt !== undefined).length).toBeGreaterThan(2);
  });
});
