import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repositoryProblems } from '../support/history.mjs';
import { until } from '../support/processes.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { Scene } from '../support/scene.mjs';
import { differences, listOf } from './stored-chain.js';

/**
 * Deleting a backup that others build on: a full one with two children, one of which has children of its own.
 *
 *     full - first - grandchild - leaf
 *          \ second
 */

let scene: Scene;
const labels = { full: '', first: '', grandchild: '', leaf: '', second: '' };
/** What each of them restores to, before anything was deleted. */
const before = new Map<string, string>();

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 3000 },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  const { server, pgmoneta } = scene;
  const take = async (parent: string | undefined, number: number, settings: Record<string, string>) => {
    await scene.reconfigure(settings);
    if (parent !== undefined) {
      await server.sql(`UPDATE main_table SET number = number + 1 WHERE id % 40 = ${number}`);
      await server.sql(`CREATE TABLE made_${number} AS SELECT generate_series(1, 2000) AS i`);
    }
    return (await pgmoneta.must('backup', 'primary', ...(parent === undefined ? [] : [parent]))).Backup;
  };
  labels.full = await take(undefined, 0, { compression: 'zstd', encryption: 'none' });
  labels.first = await take(labels.full, 1, { compression: 'lz4', encryption: 'aes-256-gcm' });
  labels.grandchild = await take(labels.first, 2, { compression: 'zstd', encryption: 'none' });
  labels.leaf = await take(labels.grandchild, 3, { compression: 'none', encryption: 'none' });
  labels.second = await take(labels.full, 4, { compression: 'client-gzip', encryption: 'aes-128-ctr' });
  for (const label of Object.values(labels)) {
    if (label !== labels.full) before.set(label, await restored(label, 'before'));
  }
}, 600_000);
afterAll(() => scene?.close());

/** Restores a backup to a place of its own. */
async function restored(label: string, when: string): Promise<string> {
  return scene.pgmoneta.restore(label, { directory: path.join(scene.pgmoneta.restored, when) });
}

/** Every backup that is left is as it was, and nothing lies about. */
async function proveUnchanged(when: string): Promise<void> {
  const { pgmoneta } = scene;
  expect(repositoryProblems(pgmoneta)).toEqual([]);
  for (const label of pgmoneta.backupsOnDisk()) {
    const directory = await restored(label, when);
    expect(differences(directory, before.get(label) ?? ''), label).toEqual([]);
    if (referee(17)) expect(verifyBackup(directory, 17), label).toMatchObject({ exit: 0 });
    expect((await pgmoneta.must('verify', 'primary', label)).Files.Failed, label).toEqual({});
  }
  const root = path.join(pgmoneta.repository, 'primary');
  for (const name of ['.roll-up', '.trash', '.staging']) {
    if (existsSync(path.join(root, name))) expect(readdirSync(path.join(root, name)), name).toEqual([]);
  }
}

const parentOf = async (label: string): Promise<string> => {
  const { Backups } = await scene.pgmoneta.must('list-backup', 'primary');
  return Backups.find(({ Backup }: { Backup: string }) => Backup === label)?.IncrementalParent;
};

test('a rehearsal tells which backups would take it in, and changes nothing', async () => {
  const { pgmoneta } = scene;
  const all = pgmoneta.backupsOnDisk();
  const { exit, document } = await pgmoneta.json('-F', 'raw', 'delete', 'primary', labels.full, '--dry-run');
  expect(exit).toBe(0);
  const { RolledUp, RollUpSize, DryRun } = document.Response;
  expect(DryRun).toBe(true);
  expect(RolledUp.map(({ Backup }: { Backup: string }) => Backup)).toEqual([labels.first, labels.second]);
  expect(RolledUp.map(({ Incremental }: { Incremental: boolean }) => Incremental)).toEqual([false, false]);
  expect(RollUpSize).toBeGreaterThan(0);
  expect(pgmoneta.backupsOnDisk()).toEqual(all);
  expect(await parentOf(labels.first)).toBe(labels.full);
});

test('a damaged child is rolled up into by nobody: refused, and nothing changes', async () => {
  const { pgmoneta } = scene;
  const file = listOf(pgmoneta, labels.second).Files.find(
    ({ BlockLength, Size }) => BlockLength !== undefined && Size > 8192,
  );
  const stored = path.join(pgmoneta.backupDirectory(labels.second), file?.Stored ?? '');
  const good = readFileSync(stored);
  const bad = Buffer.from(good);
  bad.writeUInt8(bad.readUInt8(bad.length >> 1) ^ 1, bad.length >> 1);
  writeFileSync(stored, bad);
  const { exit, document, stderr } = await pgmoneta.json('delete', 'primary', labels.full);
  writeFileSync(stored, good);
  expect(exit).toBe(3);
  expect(document.Outcome.Error).toBe(507);
  expect(stderr).toContain(`could not be rolled up into ${labels.second}`);
  expect(stderr).toContain(stored);
  expect(await parentOf(labels.first)).toBe(labels.full);
  expect(await parentOf(labels.second)).toBe(labels.full);
  expect(existsSync(path.join(pgmoneta.repository, 'primary', '.roll-up', labels.first))).toBe(false);
});

test('a backup in the middle: its child builds on what it built on', { timeout: 300_000 }, async () => {
  const { pgmoneta } = scene;
  const deleted = await pgmoneta.must('delete', 'primary', labels.grandchild);
  expect(deleted.RolledUp).toMatchObject([{ Backup: labels.leaf, IncrementalParent: labels.first }]);
  expect(await parentOf(labels.leaf)).toBe(labels.first);
  expect(listOf(pgmoneta, labels.leaf).Backup).toMatchObject({ kind: 'incremental', parent: labels.first });
  await scene.pgmoneta.json('restore', 'primary', labels.full, path.join(pgmoneta.restored, 'before'));
  before.set(labels.full, path.join(pgmoneta.restored, 'before', `primary-${labels.full}`));
  await proveUnchanged('middle');
});

test('a full backup: each child becomes one, described as before', { timeout: 300_000 }, async () => {
  const { pgmoneta } = scene;
  await pgmoneta.must('retain', 'primary', labels.second);
  await pgmoneta.must('verify', 'primary', labels.first);
  const running = pgmoneta.launch('pgmoneta-cli', [
    '-c',
    pgmoneta.configuration,
    '-F',
    'json',
    'delete',
    'primary',
    labels.full,
  ]);
  // As pgmoneta 0.21 shares what did not change: a link by path into a backup that is about to be replaced.
  const shared = path.join(pgmoneta.backupDirectory(labels.first), 'data', 'pg_xact', '0000.lz4.aes');
  const link = path.join(pgmoneta.backupDirectory(labels.leaf), 'data', 'shared');
  const content = readFileSync(shared);
  symlinkSync(shared, link);
  const work = path.join(pgmoneta.repository, 'primary', '.roll-up', labels.first);
  await until('a roll-up under way', () => existsSync(work) || running.child.exitCode !== null, { interval: 2 });
  // What is said of a child while the new one is built is not lost with the old one.
  await pgmoneta.must('annotate', 'primary', labels.first, 'add', 'ticket', 'said meanwhile');
  const { exit, stdout } = await running.result;
  expect(exit).toBe(0);
  const { RolledUp } = JSON.parse(stdout).Response;
  expect(RolledUp.map(({ Incremental }: { Incremental: boolean }) => Incremental)).toEqual([false, false]);
  expect(lstatSync(link).isFile()).toBe(true);
  expect(readFileSync(link).equals(content)).toBe(true);
  rmSync(link);
  expect(pgmoneta.backupsOnDisk()).not.toContain(labels.full);
  for (const label of [labels.first, labels.second]) expect(await parentOf(label)).toBeNull();
  expect(listOf(pgmoneta, labels.first).Backup).toMatchObject({
    kind: 'full',
    compression: 'lz4',
    encryption: 'aes-256-gcm',
  });
  expect(listOf(pgmoneta, labels.second).Backup).toMatchObject({ kind: 'full', encryption: 'aes-128-ctr' });
  const info = await pgmoneta.must('info', 'primary', labels.first);
  expect(info.Annotations).toEqual([{ Key: 'ticket', Comment: 'said meanwhile' }]);
  // Its files are new: the verification of the old ones says nothing of them.
  expect(info.VerifiedAt).toBeUndefined();
  expect((await pgmoneta.must('info', 'primary', labels.second)).Keep).toBe(true);
  await proveUnchanged('full');
});

test('what was rolled up is a parent and is rolled up like any other', { timeout: 300_000 }, async () => {
  const { pgmoneta, server } = scene;
  await server.sql('UPDATE main_table SET number = number + 1 WHERE id % 40 = 7');
  const next = (await pgmoneta.must('backup', 'primary', labels.second)).Backup;
  before.set(next, await restored(next, 'before'));
  const refused = await pgmoneta.json('delete', 'primary', labels.second);
  expect(refused.document.Outcome.Error).toBe(506);
  expect(await parentOf(next)).toBe(labels.second);
  await pgmoneta.must('delete', 'primary', labels.second, '--force');
  await pgmoneta.must('delete', 'primary', labels.first);
  expect(pgmoneta.backupsOnDisk()).toEqual([labels.leaf, next]);
  for (const label of [labels.leaf, next]) expect(await parentOf(label)).toBeNull();
  await proveUnchanged('again');
});
