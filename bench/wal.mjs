#!/usr/bin/env node
/**
 * Benchmarks of WAL receiving on PostgreSQL 17, beside pg_receivewal where it is installed: catching up, the latency
 * that a synchronous standby adds to commits, memory. Prints what was measured and asserts nothing.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { script } from '../scripts/lib/run.mjs';
import { begin } from './begin.mjs';
import { below, measure, median } from './measure.mjs';
import { say } from './options.mjs';

const USAGE = `Usage: npm run bench:wal -- [--size MB] [--seconds N] [--clients N] [--rounds N] [--only PART]
  --size     WAL to catch up on, default 4096
  --seconds  length of each commit latency run, default 15
  --clients  clients that commit, default 8
  --rounds   how often everything is measured, default 1; medians are printed
  --only     one part of it: catch-up, latency or memory
`;

const PARTS = ['catch-up', 'latency', 'memory'];

/** @typedef {{size: number, seconds: number, clients: number, rounds: number}} Options */
/** @typedef {import('../test/support/scene.mjs').Scene} Scene */

/** Writes WAL of a real load: rows of mixed content, in a table that is emptied again. @param {Scene} scene @param {number} megabytes */
async function generate(scene, megabytes) {
  const { server } = scene;
  await server.sql('CREATE TABLE IF NOT EXISTS load (id bigint, a text, b text)');
  const start = await server.value('SELECT pg_current_wal_insert_lsn()');
  for (;;) {
    const done = await server.value(`SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '${start}')`);
    if (Number(done) >= megabytes * 1024 * 1024) break;
    await server.sql(
      `INSERT INTO load SELECT i, md5(i::text) || md5((i * 7)::text), repeat('pgmoneta ', 10) FROM generate_series(1, 200000) i`,
    );
    await server.sql('TRUNCATE load');
  }
}

/** @param {Scene} scene @param {string} application @param {string} end */
async function flushed(scene, application, end) {
  const session = await scene.server.connect();
  try {
    for (;;) {
      const [row] = await session.query(
        `SELECT flush_lsn >= '${end}'::pg_lsn FROM pg_stat_replication WHERE application_name = '${application}' AND state = 'streaming'`,
      );
      if (row?.[0] === 't') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    await session.end();
  }
}

/** pg_receivewal as a process. @param {Scene} scene @param {string} bin @param {string} slot @param {string[]} args */
function receivewal(scene, bin, slot, args) {
  const folder = mkdtempSync(path.join(scene.pgmoneta.base, 'receivewal-'));
  const child = spawn(
    path.join(bin, 'pg_receivewal'),
    [
      '-D',
      folder,
      '-h',
      scene.server.socketDirectory,
      '-p',
      String(scene.server.port),
      '-U',
      'postgres',
      '-S',
      slot,
      ...args,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  return { child, ended, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** @param {Scene} scene @param {string} slot */
const makeSlot = (scene, slot) => scene.server.sql(`SELECT pg_create_physical_replication_slot('${slot}', true)`);

/**
 * @typedef {{name: string, wall: number, cpu: number, memory: number}} CatchUp
 * @param {Scene} scene @param {string | undefined} bin @param {Options} options
 */
async function catchUp(scene, bin, options) {
  const { server, pgmoneta } = scene;
  const peers = bin ? ['pg_receivewal', 'pg_receivewal --synchronous'] : [];
  const variants = { 'pgmoneta, none': 'none', 'pgmoneta, zstd': 'zstd' };
  /** @type {Map<string, CatchUp[]>} */
  const results = new Map();
  const note = (/** @type {CatchUp} */ result) => {
    results.set(result.name, [...(results.get(result.name) ?? []), result]);
    say(`  catch-up of ${options.size} MB: ${result.name}: ${result.wall.toFixed(2)} s`);
  };
  for (let round = 0; round < options.rounds; round++) {
    for (const [name, compression] of Object.entries(variants)) {
      await pgmoneta.stop();
      rmSync(path.join(pgmoneta.repository, 'primary', 'wal'), { recursive: true, force: true });
      await server.sql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active`);
      pgmoneta.configure({ compression });
      await pgmoneta.start();
      await pgmoneta.must('mode', 'primary', 'offline');
      for (const [n] of peers.entries()) if (name.endsWith('none')) await makeSlot(scene, `peer_${n}`);
      await generate(scene, options.size);
      const end = /** @type {string} */ (await server.value('SELECT pg_current_wal_flush_lsn()'));
      execFileSync('sync');
      const cost = await measure({
        work: async () => {
          await pgmoneta.must('mode', 'primary', 'online');
          await flushed(scene, 'pgmoneta', end);
        },
        processes: () => [pgmoneta.pid ?? 0],
        daemon: pgmoneta.pid ?? 0,
        settle: async () => {
          for (;;) {
            const left = readdirSync(path.join(pgmoneta.repository, 'primary', 'wal')).filter(
              (file) => file.length === 24,
            );
            if (compression === 'none' || left.length === 0) return;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        },
      });
      note({ name, ...cost });
      if (!name.endsWith('none')) continue;
      for (const [n, peer] of peers.entries()) {
        const args = ['--endpos', end, '--no-loop', ...(peer.includes('--synchronous') ? ['--synchronous'] : [])];
        execFileSync('sync');
        /** @type {ReturnType<typeof receivewal> | undefined} */
        let run;
        const spent = await measure({
          work: () => {
            run = receivewal(scene, /** @type {string} */ (bin), `peer_${n}`, args);
            return run.ended;
          },
          processes: below(() => run?.child.pid),
        });
        run?.remove();
        note({ name: peer, ...spent });
      }
    }
  }
  say('');
  say(
    `catching up on ${options.size} MB`.padEnd(44) +
      'wall s'.padStart(8) +
      'MB/s'.padStart(8) +
      'CPU s/GB'.padStart(10) +
      'memory'.padStart(9) +
      'ratio'.padStart(8),
  );
  const base = results.get('pg_receivewal')?.map(({ wall }) => wall);
  for (const [name, runs] of results) {
    const wall = median(runs.map((run) => run.wall));
    const cpu = median(runs.map((run) => run.cpu)) / (options.size / 1024);
    const memory = Math.max(...runs.map((run) => run.memory)) / 1024 / 1024;
    const ratio = base && !name.startsWith('pg_') ? `x ${(median(base) / wall).toFixed(2)}` : '';
    say(
      `  ${name.padEnd(42)}${wall.toFixed(2).padStart(8)}${(options.size / wall).toFixed(0).padStart(8)}${cpu.toFixed(2).padStart(10)}${`${memory.toFixed(0)} MB`.padStart(9)}${ratio.padStart(8)}`,
    );
  }
}

/** Commit latencies in milliseconds, sorted. @param {Scene} scene @param {string} bin @param {Options} options */
async function commits(scene, bin, { seconds, clients }) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pgmoneta-bench-'));
  try {
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path.join(folder, 'commit.sql'), 'INSERT INTO commits VALUES (1);\n');
    const args = [
      '-n',
      '-f',
      'commit.sql',
      '-c',
      String(clients),
      '-j',
      '2',
      '-T',
      String(seconds),
      '-l',
      '--log-prefix=log',
    ];
    const where = ['-h', scene.server.socketDirectory, '-p', String(scene.server.port), '-U', 'postgres', 'postgres'];
    await new Promise((resolve, reject) => {
      const child = spawn(path.join(bin, 'pgbench'), [...args, ...where], { cwd: folder, stdio: 'ignore' });
      child.once('close', (code) => (code === 0 ? resolve(undefined) : reject(new Error(`pgbench: exit ${code}`))));
    });
    const lines = readdirSync(folder)
      .filter((name) => name.startsWith('log'))
      .flatMap((name) => readFileSync(path.join(folder, name), 'utf8').trim().split('\n'));
    return lines.map((line) => Number(line.split(' ')[2]) / 1000).sort((a, b) => a - b);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Scene} scene @param {string} bin @param {Options} options */
async function latency(scene, bin, options) {
  const { server, pgmoneta } = scene;
  await server.sql('CREATE TABLE IF NOT EXISTS commits (n int)');
  const standby = async (/** @type {string} */ name) => {
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await server.sql('SELECT pg_reload_conf()');
  };
  /** @type {Map<string, number[][]>} */
  const results = new Map();
  const run = async (/** @type {string} */ name) => {
    const found = await commits(scene, bin, options);
    results.set(name, [...(results.get(name) ?? []), found]);
    say(`  commits: ${name}: ${found.length}`);
  };
  await makeSlot(scene, 'peer_sync');
  pgmoneta.configure({ compression: 'zstd' });
  for (let round = 0; round < options.rounds; round++) {
    await pgmoneta.stop();
    await standby('');
    await run('no standby');
    const peer = receivewal(scene, bin, 'peer_sync', ['--synchronous']);
    await flushed(scene, 'pg_receivewal', '0/1');
    await standby('pg_receivewal');
    await run('pg_receivewal --synchronous');
    await standby('');
    peer.child.kill('SIGINT');
    await peer.ended;
    peer.remove();
    await pgmoneta.start();
    await flushed(scene, 'pgmoneta', '0/1');
    await standby('pgmoneta');
    await run('pgmoneta');
    await standby('');
  }
  say('');
  say(
    `commits of ${options.clients} clients for ${options.seconds} s`.padEnd(44) +
      'per s'.padStart(8) +
      'p50 ms'.padStart(9) +
      'p99 ms'.padStart(9) +
      'added p50'.padStart(11) +
      'added p99'.padStart(11),
  );
  const at = (/** @type {number[]} */ values, /** @type {number} */ part) =>
    values[Math.floor(values.length * part)] ?? 0;
  const quantile = (/** @type {string} */ name, /** @type {number} */ part) =>
    median((results.get(name) ?? []).map((values) => at(values, part)));
  for (const [name, runs] of results) {
    const rate = median(runs.map((values) => values.length / options.seconds));
    const [p50, p99] = [quantile(name, 0.5), quantile(name, 0.99)];
    const added = [p50 - quantile('no standby', 0.5), p99 - quantile('no standby', 0.99)];
    say(
      `  ${name.padEnd(42)}${rate.toFixed(0).padStart(8)}${p50.toFixed(2).padStart(9)}${p99.toFixed(2).padStart(9)}${added.map((value) => value.toFixed(2).padStart(11)).join('')}`,
    );
  }
}

/** Peak memory of a daemon that receives from many servers at once. @param {Scene} scene @param {number} servers */
async function memory(scene, servers) {
  const { server, pgmoneta } = scene;
  await pgmoneta.stop();
  const [first] = pgmoneta.servers;
  if (first === undefined) return;
  pgmoneta.servers = Array.from({ length: servers }, (_, n) => ({
    ...first,
    name: `server${n + 1}`,
    settings: { wal_slot: `slot_${n + 1}` },
  }));
  pgmoneta.configure({ compression: 'zstd' });
  await pgmoneta.start();
  await generate(scene, 256);
  const end = await server.value('SELECT pg_current_wal_flush_lsn()');
  for (;;) {
    const count = await server.value(
      `SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pgmoneta' AND flush_lsn >= '${end}'::pg_lsn`,
    );
    if (Number(count) === servers) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const status = readFileSync(`/proc/${pgmoneta.pid}/status`, 'utf8');
  const [peak, now] = [/VmHWM:\s+(\d+)/, /VmRSS:\s+(\d+)/].map(
    (pattern) => Number(pattern.exec(status)?.[1] ?? 0) / 1024,
  );
  say(`  ${servers} servers in one daemon, 256 MB of WAL each: peak ${peak?.toFixed(0)} MB, now ${now?.toFixed(0)} MB`);
  pgmoneta.servers = [first];
}

async function main() {
  const begun = await begin(
    {
      size: { number: 4096 },
      seconds: { number: 15 },
      clients: { number: 8 },
      rounds: { number: 1 },
      only: { words: PARTS },
    },
    { usage: USAGE, peers: 'pg_receivewal and pgbench' },
  );
  if (begun === undefined) return 2;
  const { options, bin } = begun;
  const { Scene } = await import('../test/support/scene.mjs');
  const settings = {
    max_wal_size: '16GB',
    checkpoint_timeout: '1h',
    autovacuum: 'off',
    max_wal_senders: 40,
    max_replication_slots: 40,
  };
  const scene = await Scene.open(17, { workload: false, server: { settings, durable: true } });
  try {
    const wanted = (/** @type {string} */ part) => options.only?.includes(part) ?? true;
    if (wanted('catch-up')) await catchUp(scene, bin, options);
    if (bin && wanted('latency')) await latency(scene, bin, options);
    say('');
    if (wanted('memory')) for (const servers of [1, 16]) await memory(scene, servers);
  } finally {
    await scene.close();
  }
  return 0;
}

await script('bench:wal', main);
process.exit();
