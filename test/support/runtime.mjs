/**
 * Where and as whom servers and daemons of tests run. PostgreSQL and the daemon refuse to run as root, so under root
 * they run as `nobody`; what that user cannot read (a checkout below a closed home directory) is copied to a place
 * that it can.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT } from '../../scripts/lib/run.mjs';
import { onExit } from './cleanup.mjs';

/** @typedef {{uid: number, gid: number}} Identity */

/** The user for servers and daemons; undefined means: the user who runs the tests. @returns {Identity | undefined} */
export function identity() {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  const [, , uid = '65534', gid = '65534'] = line?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** Whether the user may do `mode` on the path; asked of the kernel under that user's id. @param {string} file @param {'r' | 'x' | 'w'} mode */
export function allowed(file, mode) {
  const who = identity();
  if (!who) {
    try {
      accessSync(file, mode === 'r' ? constants.R_OK : mode === 'w' ? constants.W_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }
  return spawnSync('/bin/sh', ['-c', `test -${mode} "$1"`, 'sh', file], { ...who, cwd: '/' }).status === 0;
}

/** The first folder for temporary files that the user can enter. */
function temporaryFolder() {
  for (const folder of [os.tmpdir(), '/tmp', '/var/tmp']) {
    if (existsSync(folder) && allowed(folder, 'x')) return folder;
  }
  throw new Error(`no folder for temporary files that uid ${identity()?.uid ?? process.getuid?.()} can enter`);
}

/**
 * A new directory of mode 0700 that belongs to the user of servers and daemons. Its path is short: Unix sockets
 * below it must stay under 104 bytes. Removed at exit unless PGMONETA_TEST_KEEP is set.
 * @param {string} [name] a few letters
 */
export function temporaryDirectory(name = 't') {
  const directory = mkdtempSync(path.join(temporaryFolder(), `pgm-${name}-`));
  give(directory);
  const forget = onExit(() => removeDirectory(directory));
  if (process.env.PGMONETA_TEST_KEEP) forget();
  return directory;
}

/** Removes a tree; missing is fine. @param {string} directory */
export function removeDirectory(directory) {
  if (process.env.PGMONETA_TEST_KEEP) return;
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Makes a directory (0700) for the user of servers and daemons. @param {string} directory */
export function makeDirectory(directory) {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  give(directory);
  return directory;
}

/** Hands a file or directory to the user of servers and daemons. @param {string} file */
export function give(file) {
  const who = identity();
  if (who) chownSync(file, who.uid, who.gid);
}

/** @typedef {{root: string, node: string}} Runtime the checkout (or its copy) and the Node binary that the user can run */

/** @type {Runtime | undefined} */
let known;

/**
 * The checkout as the user of servers and daemons can read it: the checkout itself, or a copy of the parts that are
 * needed. A copy is made once and handed to child processes through the environment.
 * @returns {Runtime}
 */
export function runtime() {
  if (known) return known;
  const inherited = process.env.PGMONETA_TEST_RUNTIME;
  known = inherited ? JSON.parse(inherited) : readable() ? { root: ROOT, node: process.execPath } : copyCheckout();
  process.env.PGMONETA_TEST_RUNTIME = JSON.stringify(known);
  return /** @type {Runtime} */ (known);
}

function readable() {
  const needed = ['package.json', 'bin', 'dist', 'node_modules', 'crates/node/addon', 'test/servers/node_modules'];
  return (
    allowed(process.execPath, 'x') &&
    needed.every((part) => !existsSync(path.join(ROOT, part)) || allowed(path.join(ROOT, part), 'r'))
  );
}

/** @returns {Runtime} */
function copyCheckout() {
  const root = temporaryDirectory('copy');
  for (const part of [
    'package.json',
    'bin',
    'dist',
    'node_modules',
    'crates/node/addon',
    'test/servers/node_modules',
  ]) {
    if (!existsSync(path.join(ROOT, part))) continue;
    mkdirSync(path.dirname(path.join(root, part)), { recursive: true });
    execFileSync('cp', ['-R', '-P', '-p', path.join(ROOT, part), path.join(root, part)]);
  }
  const node = path.join(root, 'node');
  execFileSync('cp', [process.execPath, node]);
  execFileSync('chmod', ['-R', 'a+rX', root]);
  return { root, node };
}
