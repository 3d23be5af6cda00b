import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { beforeEach, expect, it } from 'vitest';
import { claimBackup, dropLease, leaseBackups, readerOf } from '../../../src/repository/leases.js';
import { leasePath, type ServerPaths, serverPaths } from '../../../src/repository/paths.js';
import { refusal, temporaryDirectory } from '../temporary.js';

const OLD = '20260101000000';
const NEW = '20260102000000';
let paths: ServerPaths;
beforeEach(async () => {
  paths = serverPaths(temporaryDirectory(), 'primary');
  await mkdir(paths.root);
});

const read = (labels: string[], verb = 'restore of primary') => leaseBackups(paths, labels, verb, 'RESTORE_ACTIVE');
const claim = (label: string) => claimBackup(paths, label, 'delete of primary', 'DELETE_BACKUP_ACTIVE');

it('several may read, and nobody removes meanwhile', async () => {
  const first = await read([NEW, OLD]);
  const second = await read([NEW], 'verify of primary');
  const error = await refusal(() => claim(NEW), 'DELETE_BACKUP_ACTIVE', /restore of primary \(PID \d+\)/);
  expect(error.retryable).toBe(true);
  first.release();
  await refusal(() => claim(NEW), 'DELETE_BACKUP_ACTIVE', /verify of primary/);
  (await claim(OLD)).release();
  second.release();
  (await claim(NEW)).release();
});

it('who reads is told', async () => {
  expect(readerOf(paths, NEW)).toBeUndefined();
  const lease = await read([NEW]);
  expect(readerOf(paths, NEW)).toMatch(/^restore of primary \(PID \d+\) has been reading it since \d{4}-/);
  expect(readerOf(paths, OLD)).toBeUndefined();
  lease.release();
  expect(readerOf(paths, NEW)).toBeUndefined();
});

it('one that is being removed is not read, and nothing stays leased then', async () => {
  const claimed = await claim(OLD);
  await refusal(() => read([NEW, OLD]), 'RESTORE_ACTIVE', /delete of primary/);
  expect(readerOf(paths, NEW)).toBeUndefined();
  claimed.release();
});

it('a lease goes with its backup', async () => {
  const claimed = await claim(OLD);
  expect(existsSync(leasePath(paths, OLD))).toBe(true);
  await dropLease(paths, OLD);
  await dropLease(paths, OLD);
  expect(existsSync(leasePath(paths, OLD))).toBe(false);
  claimed.release();
});
