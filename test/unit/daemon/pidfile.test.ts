import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writePidFile } from '../../../src/daemon/pidfile.js';
import { temporaryDirectory } from '../../support/runtime.mjs';

let directory: string;
beforeAll(() => {
  directory = temporaryDirectory('pidfile');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A PID file with this content; whether a daemon may start beside it. */
async function startsBeside(content: string): Promise<boolean> {
  const file = path.join(directory, 'pgmoneta.pid');
  writeFileSync(file, content);
  try {
    const remove = await writePidFile(file);
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
    remove();
    expect(existsSync(file)).toBe(false);
    return true;
  } catch (error) {
    expect((error as Error).message).toContain(`belongs to the running daemon ${content.trim()}`);
    expect(readFileSync(file, 'utf8')).toBe(content);
    return false;
  }
}

test('what a crash left stands in nobody’s way', async () => {
  expect(await startsBeside('')).toBe(true);
  expect(await startsBeside('rubbish\n')).toBe(true);
  expect(await startsBeside('999999999\n')).toBe(true);
});

test('a process that is no daemon does not count, one that is does', async () => {
  const other = spawn('sleep', ['60']);
  const daemon = spawn('/bin/sh', ['-c', 'sleep 60; true', 'pgmoneta']);
  try {
    expect(await startsBeside(`${other.pid}\n`)).toBe(true);
    expect(await startsBeside(`${daemon.pid}\n`)).toBe(false);
  } finally {
    other.kill('SIGKILL');
    daemon.kill('SIGKILL');
  }
});

test.skipIf(process.platform !== 'linux')('a dead one that nobody has taken note of does not count', async () => {
  // The parent never waits for its child, which ends when the shell, which would, is no more.
  const parent = spawn('/bin/sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 60']);
  try {
    const pid = await new Promise<string>((resolve) =>
      parent.stdout.once('data', (text) => resolve(String(text).trim())),
    );
    for (let tries = 0; !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z/);
    expect(await startsBeside(`${pid}\n`)).toBe(true);
  } finally {
    parent.kill('SIGKILL');
  }
});
