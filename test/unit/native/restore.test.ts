import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  BackupChain,
  type ChainOptions,
  type JobControl,
  type JobProgress,
  type RestoreOptions,
} from '../../../src/native/restore.js';
import { storedBackup } from './stored-backup.js';

let backup: ReturnType<typeof storedBackup>;
beforeEach(() => {
  backup = storedBackup();
});
afterEach(() => backup.remove());

const target = (): string => join(backup.root, 'restored');
const open = (options: ChainOptions = {}) => BackupChain.open([backup.directory], options);
const restore = async (options: RestoreOptions, control: JobControl = {}) => (await open()).restore(options, control);
const order = () => ({
  target: target(),
  tablespaces: [{ oid: '16384', name: 'fast', directory: join(backup.root, 'fast'), link: '/srv/fast' }],
  workers: 2,
});

describe('the plan', () => {
  test('tells what will be written where', async () => {
    const plan = await (await open()).plan();
    expect(plan).toMatchObject({
      label: '20260102030405',
      files: 5,
      bytes: 3 + 8192 + (3 << 20) + 8192 + (1 << 20),
      tablespaces: [{ oid: '16384', directory: 'tblspc_fast', bytes: 8192, files: 1 }],
      walBytes: 1 << 20,
      biggestFile: 3 << 20,
      unproven: 0,
      missing: [],
      systemIdentifier: '7710222501349654523',
      majorVersion: 16,
      walSegmentSize: 16 << 20,
      dataChecksums: false,
      encrypted: false,
    });
    expect(plan.baseBytes + 8192).toBe(plan.bytes);
  });

  test('refuses what is no backup', async () => {
    await expect(BackupChain.open([join(backup.root, 'none')])).rejects.toMatchObject({ code: 'IO' });
    await expect(BackupChain.open([backup.root])).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});

describe('a restore', () => {
  test('writes the cluster and counts', async () => {
    const seen: JobProgress[] = [];
    const report = await restore(order(), { onProgress: (progress) => seen.push(progress) });
    expect(report).toMatchObject({ files: 5, unproven: 0, damagedPages: 0, warnings: [] });
    for (const [path, bytes] of backup.files) {
      const place = path.startsWith('pg_tblspc/16384/')
        ? join(backup.root, 'fast', path.slice(16))
        : join(target(), path);
      expect(readFileSync(place).equals(bytes), path).toBe(true);
      expect(statSync(place).mode & 0o777).toBe(0o600);
    }
    expect(readlinkSync(join(target(), 'pg_tblspc', '16384'))).toBe('/srv/fast');
    expect(existsSync(join(target(), 'pg_notify'))).toBe(true);
    expect(seen.at(-1)).toEqual({ bytesDone: report.bytes, bytesTotal: report.bytes, filesDone: 5, filesTotal: 5 });
  });

  test('names a damaged file and leaves no control file', async () => {
    const place = join(backup.directory, 'data/base/1/1259');
    const bytes = readFileSync(place);
    bytes[100] = 0;
    writeFileSync(place, bytes);
    await expect(restore(order())).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('base/1/1259'),
      context: { path: place },
    });
    expect(existsSync(join(target(), 'global/pg_control'))).toBe(false);
    expect(existsSync(join(target(), 'base/1/1259'))).toBe(false);
  });

  test('stops when it is told to', async () => {
    const controller = new AbortController();
    controller.abort();
    await expect(restore(order(), { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(existsSync(join(target(), 'global/pg_control'))).toBe(false);
  });

  test('refuses orders that cannot be carried out', async () => {
    await expect(restore({ ...order(), workers: 0 })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(restore({ ...order(), tablespaces: [] })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(open({ encryption: 'rot13' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(open({ masterSecret: Buffer.alloc(3) })).rejects.toMatchObject({ code: 'USAGE' });
    mkdirSync(target());
    writeFileSync(join(target(), 'mine'), '');
    await expect(restore(order())).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(target()),
    });
  });
});

describe('beside a cluster that is there', () => {
  const upon = (base?: { backup: string; stamp: bigint }) => ({
    ...order(),
    target: join(backup.root, 'again'),
    tablespaces: [{ oid: '16384', directory: join(backup.root, 'again-fast'), link: '/srv/fast' }],
    existing: {
      directory: target(),
      tablespaces: [{ oid: '16384', directory: join(backup.root, 'fast') }],
      ...(base === undefined ? {} : { base }),
    },
  });

  test('what is right is linked, and the comparison says so before', async () => {
    await restore(order());
    writeFileSync(join(target(), 'PG_VERSION'), '15\n');
    writeFileSync(join(target(), 'surplus'), 'four');
    const planned = await (await open()).compare(upon());
    expect(existsSync(join(backup.root, 'again'))).toBe(false);
    const seen: JobProgress[] = [];
    const report = await restore(upon(), { onProgress: (progress) => seen.push(progress) });
    expect(report.reuse).toEqual(planned);
    expect(planned).toMatchObject({
      kept: { files: 2, bytes: (3 << 20) + 8192 },
      copied: { files: 0, bytes: 0 },
      rewrittenPaths: ['PG_VERSION', 'global/pg_control', 'pg_wal/000000010000000000000002'],
      removed: { files: 1, bytes: 4 },
      removedPaths: ['surplus'],
      written: [{ oid: '', bytes: 3 + 8192 + (1 << 20) }],
    });
    expect(statSync(join(backup.root, 'again/base/1/1259')).ino).toBe(statSync(join(target(), 'base/1/1259')).ino);
    expect(seen.at(-1)?.bytesDone).toBe(report.bytes);
  });

  test('a backup that it was made of is told by its directory', async () => {
    await restore(order());
    const stamp = BigInt(Date.now()) * 1_000_000n;
    const known = await restore(upon({ backup: backup.directory, stamp }));
    expect(known.warnings).toEqual([]);
    rmSync(join(backup.root, 'again'), { recursive: true });
    rmSync(join(backup.root, 'again-fast'), { recursive: true });
    const unknown = await restore(upon({ backup: backup.root, stamp }));
    expect(unknown.warnings).toEqual([expect.stringContaining('is not in the chain')]);
  });

  test('there has to be one to compare with', async () => {
    await expect((await open()).compare(order())).rejects.toMatchObject({ code: 'USAGE' });
  });
});
