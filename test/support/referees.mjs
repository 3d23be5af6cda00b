/**
 * PostgreSQL's own client tools as judges. They are found through PG_REFEREES (a folder with pg_verifybackup,
 * pg_basebackup, ...) and, for further major versions, PG_REFEREES_<major>. Nothing of the product needs them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Why tests with referees are skipped. */
export const NO_REFEREES =
  'set PG_REFEREES to a folder with PostgreSQL 17 client tools (pg_verifybackup, ...) to run this';

/** @typedef {{bin: string, major: number}} Referee */

/** @param {string | undefined} bin @returns {Referee | undefined} */
function inspect(bin) {
  if (!bin || !existsSync(path.join(bin, 'pg_verifybackup'))) return undefined;
  const output = execFileSync(path.join(bin, 'pg_verifybackup'), ['--version'], { encoding: 'utf8' });
  return { bin, major: Number(/(\d+)/.exec(output)?.[1]) };
}

/**
 * The tools that can judge a server of this major version: the same version if there is one, else a version whose
 * pg_verifybackup reads that server's files (17 reads manifests of 13 to 16; the control file of 18 needs 18).
 * @param {number} major
 * @returns {Referee | undefined}
 */
export function referee(major) {
  const own = inspect(process.env[`PG_REFEREES_${major}`]);
  if (own?.major === major) return own;
  const general = inspect(process.env.PG_REFEREES);
  if (general?.major === major || (general?.major === 17 && major < 17)) return general;
  return undefined;
}

/** The WAL that the manifest says is needed. @param {string} directory */
function walRanges(directory) {
  /** @type {{Timeline: number, 'Start-LSN': string, 'End-LSN': string}[]} */
  const ranges = JSON.parse(readFileSync(path.join(directory, 'backup_manifest'), 'utf8'))['WAL-Ranges'];
  return ranges;
}

/**
 * Runs pg_verifybackup on a restored directory that has not been started yet, then pg_waldump over the WAL that the
 * manifest names. pg_verifybackup would do the second by itself, but cannot find its sibling when the tools are
 * wrapped; and pg_waldump reads the WAL of its own major version only, so for others it is left out.
 * @param {string} directory @param {number} major
 * @returns {{exit: number, output: string}}
 */
export function verifyBackup(directory, major) {
  const judge = referee(major);
  if (!judge) throw new Error(NO_REFEREES);
  const commands = [[path.join(judge.bin, 'pg_verifybackup'), '--no-parse-wal', directory]];
  for (const range of judge.major === major ? walRanges(directory) : []) {
    const span = ['--timeline', String(range.Timeline), '--start', range['Start-LSN'], '--end', range['End-LSN']];
    commands.push([path.join(judge.bin, 'pg_waldump'), '--quiet', '--path', path.join(directory, 'pg_wal'), ...span]);
  }
  let output = '';
  for (const [file = '', ...args] of commands) {
    const result = spawnSync(file, args, { encoding: 'utf8' });
    output += `${result.stdout}${result.stderr}`;
    if (result.status !== 0) return { exit: result.status ?? 1, output };
  }
  return { exit: 0, output };
}
