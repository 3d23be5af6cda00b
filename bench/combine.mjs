#!/usr/bin/env node
/**
 * Benchmark on PostgreSQL 17: restoring a chain of incremental backups, beside pg_combinebackup. Ours reads what is
 * stored in zstd-3; the peer reads plain directories, and in a second form unpacks tars in zstd-3 first. Prints what was
 * measured and asserts nothing.
 */
import os from 'node:os';
import path from 'node:path';
import { Failure, must, ROOT, script, seconds } from '../scripts/lib/run.mjs';
import { medianCost } from './measure.mjs';

const USAGE = `Usage: npm run bench:combine -- [--size MB] [--length N] [--changed PERCENT] [--rounds N]
  --size     size of the database in MB, default 1024
  --length   incremental backups on top of the full one, default 3
  --changed  pages that are changed before each of them, in percent, default 10
  --rounds   how often everything is measured, default 3; medians are printed
`;

/** @typedef {{size: number, length: number, changed: number, rounds: number}} Options */
/** @typedef {import('./measure.mjs').Cost & {size: number}} Result */
/** @typedef {import('../test/support/scene.mjs').Scene} Scene */

/** @param {string} line */
const say = (line) => process.stdout.write(`${line}\n`);
/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(0)} MB`;

/** @param {string[]} args @returns {Options | undefined} */
function parse(args) {
  /** @type {Options} */
  const options = { size: 1024, length: 3, changed: 10, rounds: 3 };
  for (let n = 0; n < args.length; n += 2) {
    const name = (args[n] ?? '').replace(/^--/, '');
    const value = Number(args[n + 1]);
    if (!Object.hasOwn(options, name) || !(value > 0)) return undefined;
    options[/** @type {keyof Options} */ (name)] = value;
  }
  return options;
}

/** Changes a share of the pages of the large tables, spread evenly. @param {Scene} scene @param {number} percent */
async function change(scene, percent) {
  for (const [table, key] of [
    ['accounts', 'abalance = abalance + 1'],
    ['orders', 'amount = amount + 1'],
    ['noise', 'id = id'],
  ]) {
    const step = Math.max(1, Math.round(100 / percent));
    await scene.server.sql(
      `UPDATE ${table} SET ${key} WHERE ctid IN (
         SELECT min(ctid) FROM ${table} WHERE (ctid::text::point)[0]::int % ${step} = 0 GROUP BY (ctid::text::point)[0])`,
    );
  }
  await scene.server.sql('CHECKPOINT');
}

/** @param {Options} options */
async function prepare({ size, length, changed }, /** @type {string | undefined} */ bin) {
  const { Scene } = await import('../test/support/scene.mjs');
  const { generate } = await import('./data.mjs');
  const contest = await import('./contestants.mjs');
  const settings = {
    autovacuum: 'off',
    max_wal_size: '16GB',
    checkpoint_timeout: '1h',
    shared_buffers: '512MB',
    maintenance_work_mem: '256MB',
    summarize_wal: 'on',
  };
  const scene = await Scene.open(17, { workload: false, server: { settings } });
  await scene.reconfigure(contest.VARIANTS['zstd-3']);
  const start = performance.now();
  const bytes = await generate(scene.server, size);
  say(`generated ${megabytes(bytes)} in ${seconds(start)} s`);
  const folder = contest.peerFolder(scene);
  const { server } = scene;
  for (let number = 0; number <= length; number++) {
    if (number > 0) await change(scene, changed);
    await scene.pgmoneta.must('backup', 'primary', ...(number > 0 ? ['newest'] : []));
    if (!bin) continue;
    const parent = number > 0 ? `--incremental='${folder}/${number - 1}/backup_manifest'` : '';
    await contest.shell(
      `'${bin}/pg_basebackup' --host='${server.socketDirectory}' --port=${server.port} --username=postgres --pgdata='${folder}/${number}' --wal-method=fetch --checkpoint=fast --no-password ${parent}`,
      undefined,
    );
    if (contest.installed('zstd')) {
      await contest.shell(`cd '${folder}' && tar c ${number} | zstd -3 -q -o ${number}.tar.zst`, undefined);
    }
  }
  await server.stop();
  const stored = scene.pgmoneta.backupsOnDisk().map((label) => contest.sizeOf(scene.pgmoneta.backupDirectory(label)));
  say(`stored by pgmoneta: ${stored.map(megabytes).join(', ')}`);
  return { scene, folder, contest };
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (!options) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (process.platform !== 'linux')
    throw new Failure('the benchmark measures through /proc, which this system has not');
  await must(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), '--servers', '--quiet'], { echo: true });
  const { NO_REFEREES, referee } = await import('../test/support/referees.mjs');
  const bin = referee(17)?.bin;
  say(`${os.cpus().length} cores (${os.cpus()[0]?.model.trim()}), Node ${process.versions.node}`);
  if (!bin) say(`no pg_combinebackup to compare with: ${NO_REFEREES}`);
  const { scene, folder, contest } = await prepare(options, bin);
  const numbers = Array.from({ length: options.length + 1 }, (_, number) => number);
  const output = path.join(folder, 'output');
  const combine = (/** @type {string} */ from) =>
    `'${bin}/pg_combinebackup' ${numbers.map((number) => `'${from}/${number}'`).join(' ')} -o '${output}'`;
  const unpacked = path.join(folder, 'unpacked');
  const unpack = `mkdir -p '${unpacked}' && cd '${unpacked}' && ${numbers
    .map((number) => `zstd -dcq '${folder}/${number}.tar.zst' | tar x`)
    .join(' && ')}`;
  /** @type {{name: string, run: () => Promise<Result>}[]} */
  const contestants = [contest.productRestore(scene, 'zstd-3')];
  const peer = (/** @type {string} */ name, /** @type {string} */ command) => ({
    name,
    async run() {
      const cost = await contest.shell(command, undefined);
      const size = contest.sizeOf(output);
      await contest.shell(`rm -rf '${output}' '${unpacked}'`, undefined);
      return { ...cost, size };
    },
  });
  if (bin) {
    contestants.push(peer('pg_combinebackup of plain directories', combine(folder)));
    contestants.push(
      peer('pg_combinebackup --copy-file-range', combine(folder).replace(' -o', ' --copy-file-range -o')),
    );
    if (contest.installed('zstd')) {
      contestants.push(peer('zstd -d | tar x, then pg_combinebackup', `${unpack} && ${combine(unpacked)}`));
    }
  }
  /** @type {Map<string, Result[]>} */
  const results = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const { name, run } of round % 2 === 0 ? contestants : [...contestants].reverse()) {
      results.get(name)?.push(await run());
    }
  }
  report(results);
  await scene.close();
  return 0;
}

/** @param {Map<string, Result[]>} results */
function report(results) {
  say(
    `\n${'who'.padEnd(42)} ${'wall s'.padStart(8)} ${'CPU s'.padStart(8)} ${'memory'.padStart(8)} ${'written'.padStart(9)} ${'output'.padStart(9)}`,
  );
  for (const [name, costs] of results) {
    const cost = medianCost(costs);
    say(
      `${name.padEnd(42)} ${cost.wall.toFixed(2).padStart(8)} ${cost.cpu.toFixed(2).padStart(8)} ${megabytes(cost.memory).padStart(8)} ${megabytes(cost.written).padStart(9)} ${megabytes(costs[0]?.size ?? 0).padStart(9)}`,
    );
  }
}

await script('bench', main);
process.exit();
