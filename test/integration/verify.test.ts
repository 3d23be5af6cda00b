import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Scene } from '../support/scene.mjs';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 1000 } });
  await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());

test('a good backup: nothing failed, exit code 0, with or without a directory', async () => {
  for (const args of [
    ['verify', 'primary', 'newest'],
    ['verify', 'primary', 'newest', scene.pgmoneta.restored, 'failed'],
  ]) {
    const result = await scene.pgmoneta.json(...args);
    expect(result.exit).toBe(0);
    expect(result.document.Response.Files.Failed).toEqual({});
    expect(result.document.Response.Backup).toMatch(/^\d{14}$/);
  }
});

test('all lists every file that was checked', async () => {
  const { Files, Backup } = await scene.pgmoneta.must('verify', 'primary', 'newest', scene.pgmoneta.restored, 'all');
  const manifest = JSON.parse(readFileSync(`${scene.pgmoneta.backupDirectory(Backup)}/data/backup_manifest`, 'utf8'));
  expect(Files.All.length).toBeGreaterThanOrEqual(manifest.Files.length);
});

test('page checksums too', async () => {
  const result = await scene.pgmoneta.json('verify', 'primary', 'newest', '--pages');
  expect(result.exit).toBe(0);
});

test.each([
  ['nosuch', 'newest', 800],
  ['primary', '20010101000000', undefined],
])('%s %s is answered with an error', async (server, label, number) => {
  const result = await scene.pgmoneta.json('verify', server, label);
  expect(result.exit).toBe(3);
  expect(result.document.Outcome.Status).toBe(false);
  if (number !== undefined) expect(result.document.Outcome.Error).toBe(number);
  expect(result.document.Outcome.Message).not.toBe('');
});
