import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { verifyBackup } from '../../../src/native/verify.js';
import { storedBackup } from './stored-backup.js';

let backup: ReturnType<typeof storedBackup>;
beforeEach(() => {
  backup = storedBackup();
});
afterEach(() => backup.remove());

test('a good backup has no findings, and lists its files when asked', async () => {
  const report = await verifyBackup({ backup: backup.directory, workers: 2, all: true });
  expect(report.failed).toEqual([]);
  expect(report.all?.map((finding) => finding.path)).toContain('tblspc_fast/PG_16_202307071/5/16400');
  expect(report.all?.every((finding) => finding.reason === undefined && finding.original === finding.calculated)).toBe(
    true,
  );
  const short = await verifyBackup({ backup: backup.directory, workers: 1 });
  expect(short.all).toBeUndefined();
});

test('each kind of damage is a finding', async () => {
  const data = join(backup.directory, 'data');
  appendFileSync(join(data, 'PG_VERSION'), 'x');
  rmSync(join(data, 'base/1/1259'));
  writeFileSync(join(data, 'base/1/4711'), 'x');
  const { failed } = await verifyBackup({ backup: backup.directory, workers: 2 });
  expect(failed.map(({ path, reason }) => [path, reason])).toEqual([
    ['data/PG_VERSION', 'mismatch'],
    ['data/base/1/1259', 'missing'],
    ['data/base/1/4711', 'surplus'],
  ]);
  expect(failed[0]).toMatchObject({ algorithm: 'sha512', original: expect.stringMatching(/^[0-9a-f]{128}$/) });
});

test('it fails only when there is nothing, or when it is stopped', async () => {
  await expect(verifyBackup({ backup: join(backup.root, 'none'), workers: 1 })).rejects.toMatchObject({ code: 'IO' });
  const signal = AbortSignal.abort();
  await expect(verifyBackup({ backup: backup.directory, workers: 1 }, { signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  });
});
