import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { proveRestored, removeRestored, Scene } from '../support/scene.mjs';

const CODECS = [
  ['none', ''],
  ['gzip', '.gz'],
  ['zstd', '.zstd'],
  ['lz4', '.lz4'],
  ['bzip2', '.bz2'],
] as const;
const COMBINATIONS = [
  ...CODECS.map(([codec, suffix]) => [codec, 'none', suffix] as const),
  ...CODECS.map(([codec, suffix]) => [codec, 'aes-256-gcm', `${suffix}.aes`] as const),
  ['zstd', 'aes-192-gcm', '.zstd.aes'] as const,
  ['lz4', 'aes-128-gcm', '.lz4.aes'] as const,
];

let scene: Scene;
let checksums: Record<string, string>;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 5000 } });
  checksums = await checksumEveryTable(scene.server);
});
afterAll(() => scene?.close());

describe.each(COMBINATIONS)('compression %s, encryption %s', (compression, encryption, suffix) => {
  let label: string;
  let directory: string;

  test('backs up, and names the files as documented', async () => {
    await scene.reconfigure({ compression, encryption });
    const response = await scene.pgmoneta.must('backup', 'primary');
    label = response.Backup;
    expect(response.Compression).toBe(compression);
    expect(response.Encryption).toBe(encryption);
    const data = path.join(scene.pgmoneta.backupDirectory(label), 'data');
    expect(existsSync(path.join(data, `PG_VERSION${suffix}`))).toBe(true);
    expect(existsSync(path.join(data, 'backup_label'))).toBe(true);
    expect(existsSync(path.join(data, 'backup_manifest'))).toBe(true);
  });

  test('verifies, restores, and is accepted', async () => {
    const { Files } = await scene.pgmoneta.must('verify', 'primary', label);
    expect(Files.Failed).toEqual({});
    directory = await scene.pgmoneta.restore(label);
    expect(readFileSync(path.join(directory, 'PG_VERSION'), 'utf8')).toBe('17\n');
    expect(await proveAccepted(directory)).toEqual({ exit: 0, accepted: true });
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
    removeRestored(directory);
  });
});

/** pg_verifybackup where it is installed; the rest of the proof does not need it. */
async function proveAccepted(directory: string) {
  if (!referee(17)) return { exit: 0, accepted: true };
  const { exit, output } = verifyBackup(directory, 17);
  return { exit, accepted: output.includes('successfully verified') };
}

describe('the standard tools read what is stored', () => {
  const TOOLS = [
    ['gzip', '.gz', ['gzip', '-dc']],
    ['zstd', '.zstd', ['zstd', '-dcq']],
    ['lz4', '.lz4', ['lz4', '-dcq']],
    ['bzip2', '.bz2', ['bzip2', '-dc']],
  ] as const;
  const installed = (tool: string) => spawnSync(tool, ['--version']).error === undefined;

  test.each(TOOLS.filter(([, , [tool]]) => installed(tool)))('%s', async (compression, suffix, [tool, flags]) => {
    await scene.reconfigure({ compression, encryption: 'none' });
    const label = await scene.pgmoneta.backup();
    const stored = path.join(scene.pgmoneta.backupDirectory(label), 'data', `PG_VERSION${suffix}`);
    const result = spawnSync(tool, [flags], { input: readFileSync(stored), encoding: 'utf8' });
    expect(result.stdout).toBe('17\n');
  });
});

describe('compression on the server', () => {
  test('gzip is taken apart and stored in one pass', async () => {
    await scene.reconfigure({ compression: 'server-gzip', encryption: 'none' });
    const directory = await scene.pgmoneta.restore(await scene.pgmoneta.backup());
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
    removeRestored(directory);
  });

  test('a method that the server was built without is refused with its words', async () => {
    await scene.reconfigure({ compression: 'server-zstd', encryption: 'none' });
    const before = scene.pgmoneta.backupsOnDisk();
    const result = await scene.pgmoneta.json('backup', 'primary');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Status).toBe(false);
    expect(result.document.Outcome.Message).toMatch(/zstd/i);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual(before);
    expect(scene.pgmoneta.stagingOnDisk()).toEqual([]);
  });
});

describe('levels', () => {
  test.each([
    ['gzip', 1, 9],
    ['zstd', 1, 15],
    ['lz4', 1, 12],
    ['bzip2', 1, 9],
  ])('%s %i is larger than %i', async (compression, low, high) => {
    const sizes = [];
    for (const compression_level of [low, high]) {
      await scene.reconfigure({ compression, compression_level, encryption: 'none' });
      const label = await scene.pgmoneta.backup();
      const raw = JSON.parse((await scene.pgmoneta.cli('-F', 'raw', 'info', 'primary', label)).stdout);
      sizes.push(raw.Response.BackupSize);
      // Or the second backup would link to the files of the first, which have the same content.
      await scene.pgmoneta.must('delete', 'primary', label);
    }
    expect(sizes[0]).toBeGreaterThan(sizes[1]);
  });
});
