import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renameDurable } from '../../../src/repository/durable.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgmoneta-durable-'));
  await mkdir(join(root, 'to'));
  await writeFile(join(root, 'file'), '');
});
afterEach(async () => {
  await chmod(join(root, 'to'), 0o700);
  await rm(root, { recursive: true });
});

describe('a durable rename', () => {
  it('moves', async () => {
    await renameDurable(join(root, 'file'), join(root, 'to', 'file'));
    expect(await readdir(join(root, 'to'))).toEqual(['file']);
  });

  // The superuser opens the directory all the same.
  it.skipIf(process.getuid?.() === 0)('is taken back when the directory cannot be synced', async () => {
    await chmod(join(root, 'to'), 0o300);
    await expect(renameDurable(join(root, 'file'), join(root, 'to', 'file'))).rejects.toThrow();
    expect(await readdir(root)).toEqual(['file', 'to']);
    await chmod(join(root, 'to'), 0o700);
    expect(await readdir(join(root, 'to'))).toEqual([]);
  });
});
