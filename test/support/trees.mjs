/** Data directories as a whole: are two of them the same, file by file, and how is one copied. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { give } from './runtime.mjs';

/**
 * Everything in a data directory, its tablespaces included: kind, mode and digest by relative path. What a link in
 * pg_tblspc leads to is listed as if it stood there, since two copies have their tablespaces in different places.
 * @param {string} directory @param {{except?: readonly string[]}} [options] `except`: relative paths that are left out
 * @returns {Record<string, string>}
 */
export function listTree(directory, options = {}) {
  /** @type {Record<string, string>} */
  const found = {};
  /** @param {string} relative */
  const visit = (relative) => {
    for (const name of readdirSync(path.join(directory, relative)).sort()) {
      const below = path.join(relative, name);
      if (options.except?.includes(below)) continue;
      const file = path.join(directory, below);
      const status = lstatSync(file);
      const mode = (status.mode & 0o7777).toString(8);
      if (status.isSymbolicLink() && path.dirname(below) === 'pg_tblspc') {
        found[below] = 'tablespace';
        visit(below);
      } else if (status.isSymbolicLink()) found[below] = `link to ${readlinkSync(file)}`;
      else if (status.isDirectory()) {
        found[below] = `directory ${mode}`;
        visit(below);
      } else {
        const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
        found[below] = `file ${mode} ${status.size} ${digest}`;
      }
    }
  };
  visit('');
  return found;
}

/**
 * What is not the same in two trees; empty when all is.
 * @param {Record<string, string>} one @param {Record<string, string>} other
 */
export function differences(one, other) {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((name) => one[name] !== other[name])
    .map((name) => `${name}: ${one[name] ?? 'missing'} / ${other[name] ?? 'missing'}`);
}

/** Inodes of the files of a data directory, its tablespaces included. @param {string} directory @returns {Record<string, number>} */
export function inodes(directory) {
  /** @type {Record<string, number>} */
  const found = {};
  for (const [name, what] of Object.entries(listTree(directory))) {
    if (what.startsWith('file ')) found[name] = lstatSync(path.join(directory, name)).ino;
  }
  return found;
}

/** Where the tablespaces of a data directory are, by OID. @param {string} directory @returns {Record<string, string>} */
export function tablespacesOf(directory) {
  const links = path.join(directory, 'pg_tblspc');
  return Object.fromEntries(readdirSync(links).map((oid) => [oid, readlinkSync(path.join(links, oid))]));
}

/**
 * Copies a data directory with its tablespaces to a directory that is not there yet; the original is not touched.
 * @param {string} directory @param {string} to @returns {string} the copy
 */
export function copyCluster(directory, to) {
  mkdirSync(to, { mode: 0o700 });
  give(to);
  const data = path.join(to, 'data');
  execFileSync('cp', ['-a', directory, data]);
  for (const [oid, place] of Object.entries(tablespacesOf(data))) {
    const copied = path.join(to, `tablespace-${oid}`);
    execFileSync('cp', ['-a', place, copied]);
    rmSync(path.join(data, 'pg_tblspc', oid));
    symlinkSync(copied, path.join(data, 'pg_tblspc', oid));
  }
  return data;
}
