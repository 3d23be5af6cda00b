import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { lockWriter } from '../../../src/jobs/writer-lock.js';
import { lock } from '../../../src/repository/locks.js';
import { type ServerPaths, serverPaths } from '../../../src/repository/paths.js';
import { refusal, temporaryDirectory } from '../temporary.js';

let paths: ServerPaths;
let told: string[];
beforeEach(() => {
  paths = serverPaths(temporaryDirectory(), 'primary');
  told = [];
});

const held = (verb: string) => lock(paths.writerLock, 'exclusive', verb, 'BACKUP_ACTIVE');
const take = (patience?: number, signal = new AbortController().signal) =>
  lockWriter(paths, 'backup of primary', 'BACKUP_ACTIVE', { signal, log: (_, text) => void told.push(text) }, patience);

it.each(['expiry of primary', 'sweep of primary'])('%s is waited for, and told once', async (verb) => {
  const holder = await held(verb);
  let taken = false;
  const waiting = take().then((handle) => {
    taken = true;
    return handle;
  });
  await pause(500);
  expect(taken).toBe(false);
  holder.release();
  (await waiting).release();
  expect(told).toEqual([`backup of primary waits for the ${verb} (PID ${process.pid})`]);
});

it.each(['backup of primary', 'delete of primary'])('%s is told at once', async (verb) => {
  const holder = await held(verb);
  const error = await refusal(() => take(), 'BACKUP_ACTIVE', new RegExp(`refused: ${verb} \\(PID \\d+\\) has been`));
  expect(error.retryable).toBe(true);
  expect(told).toEqual([]);
  holder.release();
});

it('a holder that does not say who it is, after one that did, is given time', async () => {
  const holder = await held('expiry of primary');
  const waiting = take();
  await pause(2500);
  // as between the end of its work and that of its lock
  writeFileSync(paths.writerLock, '');
  await pause(500);
  holder.release();
  (await waiting).release();
});

it('patience ends', async () => {
  const holder = await held('expiry of primary');
  await refusal(() => take(300), 'BACKUP_ACTIVE', /refused: expiry of primary \(PID \d+\) has been running since/);
  holder.release();
});

it('who waits can be cancelled', async () => {
  const holder = await held('expiry of primary');
  const controller = new AbortController();
  const waiting = take(undefined, controller.signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  holder.release();
  // and holds nothing afterwards
  (await take()).release();
});
