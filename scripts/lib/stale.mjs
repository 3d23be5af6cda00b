import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './run.mjs';

/** Every regular file below the given paths, sorted. @param {string[]} places @param {RegExp} [ignore] */
function filesBelow(places, ignore) {
  /** @type {string[]} */
  const found = [];
  const visit = (/** @type {string} */ place) => {
    if (ignore?.test(place)) return;
    const full = path.join(ROOT, place);
    if (!existsSync(full)) return;
    const entries = readdirSafely(full);
    if (entries === undefined) found.push(place);
    else for (const entry of entries) visit(path.join(place, entry));
  };
  for (const place of places) visit(place);
  return found.sort();
}

/** Names in a directory, or undefined for anything else. @param {string} full */
function readdirSafely(full) {
  try {
    return readdirSync(full);
  } catch {
    return undefined;
  }
}

/**
 * The digest of names and contents of everything below `places`: what a build depends on.
 * Times are not looked at, so a fresh clone and a touched file do not cause a build.
 * @param {string[]} places relative to the top folder @param {{ignore?: RegExp, also?: string[]}} [options]
 */
export function fingerprint(places, options = {}) {
  const hash = createHash('sha256');
  for (const text of options.also ?? []) hash.update(`${text}\0`);
  for (const file of filesBelow(places, options.ignore)) {
    hash.update(`${file}\0`);
    hash.update(readFileSync(path.join(ROOT, file)));
    hash.update('\0');
  }
  return hash.digest('hex');
}

/** Whether `stamp` says that the build of this fingerprint is there. @param {string} stamp @param {string} digest */
export function isFresh(stamp, digest) {
  try {
    return readFileSync(path.join(ROOT, stamp), 'utf8').trim() === digest;
  } catch {
    return false;
  }
}

/** Remembers what was built. @param {string} stamp @param {string} digest */
export function remember(stamp, digest) {
  const full = path.join(ROOT, stamp);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, `${digest}\n`);
}

/**
 * Whether node_modules of a folder holds exactly what its lock file asks for on this machine.
 * npm keeps what it installed in node_modules/.package-lock.json.
 * @param {string} folder relative to the top folder
 */
export function dependenciesInstalled(folder) {
  const wanted = readLock(path.join(ROOT, folder, 'package-lock.json'));
  const present = readLock(path.join(ROOT, folder, 'node_modules', '.package-lock.json'));
  if (!wanted || !present) return false;
  for (const [name, entry] of Object.entries(wanted)) {
    if (name === '') continue;
    const here = present[name];
    if (here === undefined) {
      if (entry.optional || entry.peer || entry.devOptional) continue;
      return false;
    }
    if (here.version !== entry.version) return false;
    if (!existsSync(path.join(ROOT, folder, name))) return false;
  }
  return true;
}

/** @param {string} file @returns {Record<string, {version?: string, optional?: boolean, peer?: boolean, devOptional?: boolean}> | undefined} */
function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}
