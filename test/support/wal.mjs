/** What tests ask of received WAL. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { MASTER_KEY } from './pgmoneta.mjs';
import { until } from './processes.mjs';
import { referee } from './referees.mjs';
import { runtime, temporaryDirectory } from './runtime.mjs';

/** @typedef {import('./pgmoneta.mjs').Pgmoneta} Pgmoneta */
/** @typedef {import('./server.mjs').Server} Server */

/** "%X/%X" as a number. @param {string} lsn */
export function lsnNumber(lsn) {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The keys about one server's WAL in `status details`. @param {Pgmoneta} pgmoneta @param {string} [name] @returns {Promise<any>} */
export async function walStatus(pgmoneta, name = 'primary') {
  const { Servers } = await pgmoneta.must('status', 'details');
  return Servers.find((/** @type {{Server: string}} */ { Server }) => Server === name);
}

/**
 * Waits until everything that the server has flushed is durable in the repository.
 * @param {Server} server @param {Pgmoneta} pgmoneta @param {{name?: string, timeout?: number}} [options]
 */
export async function caughtUp(server, pgmoneta, { name = 'primary', timeout = 60_000 } = {}) {
  const recovering = (await server.value('SELECT pg_is_in_recovery()')) === 't';
  const end = /** @type {string} */ (
    await server.value(recovering ? 'SELECT pg_last_wal_replay_lsn()' : 'SELECT pg_current_wal_flush_lsn()')
  );
  await until(
    `${end} being durable`,
    async () => {
      const state = await walStatus(pgmoneta, name);
      return Boolean(state.WalDurable) && lsnNumber(state.WalDurable) >= lsnNumber(end);
    },
    { timeout },
  );
  return end;
}

/** Names in a server's WAL directory. @param {Pgmoneta} pgmoneta @param {string} [name] @returns {string[]} */
export function walOnDisk(pgmoneta, name = 'primary') {
  return readdirSync(path.join(pgmoneta.repository, name, 'wal'))
    .filter((file) => !file.includes('.tmp-'))
    .sort();
}

/** @param {string} file below `dist/` @returns {Promise<any>} */
const product = (file) => import(path.join(runtime().root, 'dist', file));

/** @typedef {{major: number, segmentSize?: number, name?: string, timeline?: number}} ArchiveFacts */

/** The secret that the master key of tests gives. @param {Pgmoneta} pgmoneta @returns {Promise<Buffer>} */
async function masterSecret(pgmoneta) {
  const { readMasterKey, deriveMasterSecret } = await product('security/index.js');
  const key = await readMasterKey(pgmoneta.home);
  if (key.password.toString() !== MASTER_KEY) throw new Error('this is not the master key of the tests');
  return deriveMasterSecret(key);
}

/**
 * Reads all WAL of a timeline in the repository as a recovery would: every segment is decoded, every record checked
 * (and read by pg_waldump where there is one of that version). Gives the end of the WAL and what is wrong with it.
 * @param {Pgmoneta} pgmoneta
 * @param {ArchiveFacts} facts
 * @returns {Promise<{end: string, problems: string[], segments: number, commits: number}>}
 */
export async function proveArchive(pgmoneta, facts) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await proveOnce(pgmoneta, facts);
    } catch (error) {
      // A segment may get its kept form, under another name, between being listed and being read.
      if (attempt === 20 || !/No such file/.test(/** @type {Error} */ (error).message)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** @param {Pgmoneta} pgmoneta @param {ArchiveFacts} facts */
async function proveOnce(pgmoneta, { major, segmentSize = 16 * 1024 * 1024, name = 'primary', timeline = 1 }) {
  const { scanWal, copySegments } = await product('native/wal-scan.js');
  const { readArchive } = await product('wal/archive.js');
  const { formatLsn, segmentStart } = await product('postgres/types.js');
  const secret = await masterSecret(pgmoneta);
  const directory = path.join(pgmoneta.repository, name, 'wal');
  const archive = await readArchive(directory, segmentSize);
  const runs = archive.timelines.get(timeline) ?? [];
  const problems = [];
  if (runs.length > 1) problems.push(`${runs.length - 1} holes`);
  if (archive.misfits.length > 0) problems.push(`misfits ${archive.misfits}`);
  const segments = runs.flatMap((/** @type {any} */ run) =>
    run.files.map((/** @type {string} */ file, /** @type {number} */ index) => ({
      file,
      number: run.first + BigInt(index),
    })),
  );
  const open = archive.partials.find((/** @type {any} */ partial) => partial.timeline === timeline);
  if (open) segments.push({ file: open.file, number: open.number });
  if (segments.length === 0) return { end: '0/0', problems: ['there is no WAL'], segments: 0, commits: 0 };
  const start = formatLsn(segmentStart(segments[0].number, segmentSize));
  const facts = { segmentSize, masterSecret: secret };
  const report = await scanWal({
    ...facts,
    segments: segments.map((/** @type {any} */ { file }) => path.join(directory, file)),
    start,
  });
  if (report.ending.kind === 'damaged') problems.push(`${report.ending.at}: ${report.ending.message}`);

  const judge = referee(major);
  if (judge?.major === major) {
    const plain = temporaryDirectory('w');
    mkdirSync(plain, { recursive: true });
    await copySegments({
      ...facts,
      workers: 2,
      copies: segments.map((/** @type {any} */ { file, number }) => ({
        source: path.join(directory, file),
        target: path.join(plain, file.slice(0, 24)),
        timeline,
        start: formatLsn(segmentStart(number, segmentSize)),
        pad: file.endsWith('.partial'),
      })),
    });
    const args = ['--quiet', '--path', plain, '--timeline', String(timeline), '--start', start, '--end', report.end];
    const result = spawnSync(path.join(judge.bin, 'pg_waldump'), args, { encoding: 'utf8' });
    if (result.status !== 0) problems.push(`pg_waldump: ${result.stderr}`);
  }
  return { end: report.end, problems, segments: segments.length, commits: Number(report.commits ?? 0) };
}
