import { lstat, mkdir, mkdtemp, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { StoredBackup } from '../../../src/repository/catalogue.js';
import { relinkDependants } from '../../../src/repository/relink.js';

let base: string;
const stored = (label: string): StoredBackup => ({
  label,
  directory: join(base, label),
  validity: 'valid',
  info: undefined,
  problem: undefined,
});

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'pgmoneta-relink-'));
  for (const label of ['1', '2', '3']) await mkdir(join(base, label, 'data', 'base'), { recursive: true });
});
afterEach(() => rm(base, { recursive: true }));

it('gives a backup the files that it had as links into the one that leaves', async () => {
  await writeFile(join(base, '1/data/base/a'), 'from one');
  await symlink(join(base, '1/data/base/a'), join(base, '2/data/base/a'));
  await symlink(join(base, '2/data/base/a'), join(base, '3/data/base/a'));
  await relinkDependants(stored('1'), ['1', '2', '3'].map(stored));
  await rm(join(base, '1'), { recursive: true });
  expect(await readFile(join(base, '2/data/base/a'), 'utf8')).toBe('from one');
  expect(await readFile(join(base, '3/data/base/a'), 'utf8')).toBe('from one');
});

it('leads a chain that only passes through the leaving backup straight to its end', async () => {
  await writeFile(join(base, '1/data/base/a'), 'from one');
  await symlink(join(base, '1/data/base/a'), join(base, '2/data/base/a'));
  await symlink(join(base, '2/data/base/a'), join(base, '3/data/base/a'));
  await relinkDependants(stored('2'), ['1', '2', '3'].map(stored));
  await rm(join(base, '2'), { recursive: true });
  expect(await readlink(join(base, '3/data/base/a'))).toBe(join(base, '1/data/base/a'));
  expect(await readFile(join(base, '3/data/base/a'), 'utf8')).toBe('from one');
});

it('leaves links that have nothing to do with it alone', async () => {
  await writeFile(join(base, '1/data/base/a'), 'from one');
  await symlink(join(base, '1/data/base/a'), join(base, '2/data/base/a'));
  await relinkDependants(stored('3'), ['1', '2', '3'].map(stored));
  expect((await lstat(join(base, '2/data/base/a'))).isSymbolicLink()).toBe(true);
});
