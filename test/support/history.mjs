/** Makes a past: copies of a stored backup under other labels, as old as a test wants them. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { give } from './runtime.mjs';

/**
 * @typedef {object} PastBackup
 * @property {Date | string} time when it was started; a text is a label
 * @property {boolean} [valid] @property {boolean} [keep]
 * @property {string} [parent] label; makes it an incremental one
 * @property {string} [comments] COMMENTS
 * @property {boolean} [copy] files of its own; the default are hard links, as for files that did not change
 */

/** The label of a moment in the time zone of the daemon of a test, which is UTC unless TZ is set. @param {Date} moment */
export function labelAt(moment) {
  if (!process.env.TZ) return moment.toISOString().replace(/\D/g, '').slice(0, 14);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  const day = `${moment.getFullYear()}${two(moment.getMonth() + 1)}${two(moment.getDate())}`;
  return `${day}${two(moment.getHours())}${two(moment.getMinutes())}${two(moment.getSeconds())}`;
}

/** @param {string} label @returns {Date} */
function momentOf(label) {
  const [, ...parts] = /^(....)(..)(..)(..)(..)(..)$/.exec(label) ?? [];
  const [year = '', month, day, hour, minute, second] = parts;
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}${process.env.TZ ? '' : 'Z'}`);
}

/** A moment so many days ago. @param {number} days */
export const daysAgo = (days) => new Date(Math.floor(Date.now() / 1000) * 1000 - days * 86_400_000);

/** @param {string} file @param {string} text */
function replace(file, text) {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  give(`${file}.new`);
  renameSync(`${file}.new`, file);
}

/** @param {string} backup directory @param {string} name @returns {string} */
const read = (backup, name) => readFileSync(path.join(backup, name), 'utf8');

/**
 * Copies a backup to another label.
 * @param {import('./pgmoneta.mjs').Pgmoneta} pgmoneta @param {string} source label @param {PastBackup} past
 * @param {string} [server]
 * @returns {string} the new label
 */
export function cloneBackup(pgmoneta, source, past, server = 'primary') {
  const label = typeof past.time === 'string' ? past.time : labelAt(past.time);
  const from = pgmoneta.backupDirectory(source, server);
  const to = pgmoneta.backupDirectory(label, server);
  if (existsSync(to)) throw new Error(`there is a backup ${label} already`);
  execFileSync('cp', ['-a', ...(past.copy ? [] : ['--link']), from, to]);
  describe(to, label, past);
  return label;
}

/** @param {string} backup directory @param {string} label @param {PastBackup} past */
function describe(backup, label, past) {
  /** @type {Record<string, string>} */
  const changes = {
    LABEL: label,
    STATUS: past.valid === false ? '0' : '1',
    KEEP: past.keep ? '1' : '0',
    TYPE: past.parent ? '1' : '0',
    PARENT: past.parent ?? '',
    COMMENTS: past.comments ?? '',
  };
  const lines = read(backup, 'backup.info').split('\n');
  const info = lines.map((line) => {
    const key = line.split('=')[0] ?? '';
    return key in changes ? `${key}=${changes[key]}` : line;
  });
  replace(path.join(backup, 'backup.info'), info.join('\n'));
  const json = read(backup, 'backup.json').split('\n');
  const header = json.findIndex((line) => line.startsWith('"Backup": '));
  const facts = JSON.parse((json[header] ?? '').slice('"Backup": '.length).replace(/,$/, ''));
  const start = momentOf(label);
  const took = Date.parse(facts.stopTime) - Date.parse(facts.startTime);
  const stop = new Date(start.getTime() + took).toISOString();
  const changed = { ...facts, label, startTime: start.toISOString(), stopTime: stop };
  json[header] = `"Backup": ${JSON.stringify(changed)},`;
  replace(path.join(backup, 'backup.json'), json.join('\n'));
  rehash(backup, ['backup.info', 'backup.json']);
}

/** Brings lines of backup.sha512 up to date. @param {string} backup directory @param {string[]} names */
export function rehash(backup, names) {
  let list = read(backup, 'backup.sha512');
  for (const name of names) {
    const digest = createHash('sha512').update(read(backup, name)).digest('hex');
    const line = new RegExp(`^[0-9a-f]{128} \\*\\./${name.replaceAll('.', '\\.')}$`, 'm');
    if (!line.test(list)) throw new Error(`${backup}/backup.sha512 does not list ${name}`);
    list = list.replace(line, `${digest} *./${name}`);
  }
  replace(path.join(backup, 'backup.sha512'), list);
}

/** What `sha512sum --check` finds wrong with a backup; nothing is the proof. @param {string} backup directory @returns {string} */
export function hashProblems(backup) {
  try {
    execFileSync('sha512sum', ['--check', '--quiet', 'backup.sha512'], { cwd: backup, stdio: 'pipe' });
    return '';
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout: Buffer, stderr: Buffer}} */ (error);
    return `${stdout}${stderr}`;
  }
}

/** Labels of a server that are not right: hash lists and the descriptions of all its backups. @param {import('./pgmoneta.mjs').Pgmoneta} pgmoneta @param {string} [server] */
export function repositoryProblems(pgmoneta, server = 'primary') {
  return pgmoneta
    .backupsOnDisk(server)
    .map((label) => [label, hashProblems(pgmoneta.backupDirectory(label, server))])
    .filter(([, problem]) => problem !== '');
}
