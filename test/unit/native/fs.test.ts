import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  acquireLock,
  copyFileDurable,
  createDirectoryExclusive,
  exchange,
  freeSpace,
  hashFileSha512,
  readLockOwner,
  readLockOwners,
  removeTree,
  syncDirectory,
  syncTree,
  writeFileDurable,
} from '../../../src/native/fs.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'native-fs-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('an exclusive lock keeps others out, names its holder and is given back', () => {
  const path = join(root, '.lock');
  const lock = acquireLock(path, 'exclusive', '{"verb":"backup"}');
  expect(JSON.parse(readLockOwner(path) ?? '')).toMatchObject({ verb: 'backup', pid: process.pid });
  expect(() => acquireLock(path, 'shared', '{"verb":"verify"}')).toThrow(
    expect.objectContaining({ code: 'REPOSITORY_LOCKED', message: expect.stringContaining('backup'), retryable: true }),
  );
  lock.release();
  lock.release();
  expect(readLockOwner(path)).toBeUndefined();
  const readers = [acquireLock(path, 'shared', '{"verb":"a"}'), acquireLock(path, 'shared', '{"verb":"b"}')];
  expect(readLockOwners(path)).toHaveLength(2);
  for (const reader of readers) reader.release();
});

test('a lock of a directory that is missing says so', () => {
  expect(() => acquireLock(join(root, 'missing', 'lock'), 'shared', '{}')).toThrow(
    expect.objectContaining({ code: 'IO', message: expect.stringContaining('missing') }),
  );
  expect(readLockOwners(join(root, 'missing'))).toEqual([]);
});

test('a file is replaced in one step, or refused when asked', async () => {
  const path = join(root, 'file');
  await writeFileDurable(path, 'one');
  await writeFileDurable(path, new Uint8Array([116, 119, 111]));
  expect(await readFile(path, 'utf8')).toBe('two');
  expect((await stat(path)).mode & 0o7777).toBe(0o600);
  await expect(writeFileDurable(path, 'three', { replace: false })).rejects.toMatchObject({ code: 'IO' });
  expect(await readFile(path, 'utf8')).toBe('two');
});

test('bytes that are part of a larger buffer are written alone', async () => {
  const path = join(root, 'file');
  await writeFileDurable(path, Buffer.from('abcdef').subarray(2, 4));
  expect(await readFile(path, 'utf8')).toBe('cd');
});

test('copies and hashes agree', async () => {
  const [a, b] = [join(root, 'a'), join(root, 'b')];
  await writeFile(a, 'abc');
  expect(await copyFileDurable(a, b)).toBe(3);
  expect(await hashFileSha512(b)).toMatch(/^ddaf35a193617abacc417349ae204131/);
});

test('trees are synced, exchanged and removed without following links', async () => {
  const [a, b, kept] = [join(root, 'a'), join(root, 'b'), join(root, 'kept')];
  for (const directory of [a, b, kept]) await createDirectoryExclusive(directory);
  await expect(createDirectoryExclusive(a)).rejects.toMatchObject({ code: 'IO' });
  await mkdir(join(a, 'deep'));
  await symlink(kept, join(a, 'deep', 'link'));
  await syncTree(root);
  await syncDirectory(root);
  await exchange(a, b);
  expect((await stat(join(b, 'deep'))).isDirectory()).toBe(true);
  await removeTree(b);
  await removeTree(b);
  expect((await stat(kept)).isDirectory()).toBe(true);
});

test('free space is told in numbers', async () => {
  const space = await freeSpace(root);
  expect(space.available).toBeGreaterThan(0);
  expect(space.total).toBeGreaterThanOrEqual(space.available);
  await expect(freeSpace(join(root, 'missing'))).rejects.toMatchObject({ code: 'IO' });
});
