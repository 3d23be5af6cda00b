import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type JobProgress, planRestore, restoreBackup } from '../../../src/native/restore.js';
import { storedBackup } from './stored-backup.js';

let backup: ReturnType<typeof storedBackup>;
beforeEach(() => {
  backup = storedBackup();
});
afterEach(() => backup.remove());

const target = (): string => join(backup.root, 'restored');
const order = () => ({
  backups: [backup.directory],
  target: target(),
  tablespaces: [{ oid: '16384', name: 'fast', directory: join(backup.root, 'fast'), link: '/srv/fast' }],
  workers: 2,
});

describe('planRestore', () => {
  test('tells what will be written where', async () => {
    const plan = await planRestore([backup.directory]);
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
    await expect(planRestore([join(backup.root, 'none')])).rejects.toMatchObject({ code: 'IO' });
    await expect(planRestore([backup.root])).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});

describe('restoreBackup', () => {
  test('writes the cluster and counts', async () => {
    const seen: JobProgress[] = [];
    const report = await restoreBackup(order(), { onProgress: (progress) => seen.push(progress) });
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
    await expect(restoreBackup(order())).rejects.toMatchObject({
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
    await expect(restoreBackup(order(), { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(existsSync(join(target(), 'global/pg_control'))).toBe(false);
  });

  test('refuses orders that cannot be carried out', async () => {
    await expect(restoreBackup({ ...order(), workers: 0 })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(restoreBackup({ ...order(), tablespaces: [] })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(restoreBackup({ ...order(), encryption: 'rot13' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(restoreBackup({ ...order(), masterSecret: Buffer.alloc(3) })).rejects.toMatchObject({ code: 'USAGE' });
    mkdirSync(target());
    writeFileSync(join(target(), 'mine'), '');
    await expect(restoreBackup(order())).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(target()),
    });
  });
});
