#!/usr/bin/env node
/**
 * Benchmarks on PostgreSQL 17, side by side with pg_basebackup where it is installed: full backup, restore, verify.
 * Prints what was measured and asserts nothing.
 */
import { script, seconds } from '../scripts/lib/run.mjs';
import { begin } from './begin.mjs';
import { medianCost, residentSize } from './measure.mjs';
import { megabytes, say } from './options.mjs';

const USAGE = `Usage: npm run bench [-- --size MB] [--rounds N] [--only VARIANT[,VARIANT...]]
  --size    size of the database in MB, default 2048
  --rounds  how often everything is measured, default 3; medians are printed
  --only    some of: none, lz4, zstd-3, zstd-3 + aes-256-gcm
`;

/** @typedef {import('./contestants.mjs').Contestant} Contestant */
/** @typedef {import('./contestants.mjs').Variant} Variant */
/** @typedef {import('./measure.mjs').Cost & {size: number}} Result */

/**
 * Runs every contestant of a step; who starts changes from round to round, so that caches favour nobody.
 * @param {Contestant[]} contestants @param {number} round @param {Map<Contestant, Result[]>} results
 */
async function runStep(contestants, round, results) {
  for (const contestant of round % 2 === 0 ? contestants : [...contestants].reverse()) {
    const result = await contestant.run();
    results.set(contestant, [...(results.get(contestant) ?? []), result]);
    say(`  ${contestant.group}: ${contestant.name}: ${result.wall.toFixed(2)} s`);
  }
}

/** @param {Map<Contestant, Result[]>} results @param {number} plain bytes of the cluster */
function report(results, plain) {
  const groups = grouped(results);
  say(
    `\n${'who'.padEnd(52)} ${'wall s'.padStart(8)} ${'speed'.padStart(7)} ${'CPU s'.padStart(7)} ${'server'.padStart(7)} ${'memory'.padStart(8)} ${'written'.padStart(9)} ${'output'.padStart(9)} ${'ratio'.padStart(6)}`,
  );
  for (const [group, members] of groups) {
    say(group);
    const baseline = members.find((member) => member.baseline);
    const base = baseline && medianCost(results.get(baseline) ?? []).wall;
    for (const member of members) {
      const costs = results.get(member) ?? [];
      const cost = medianCost(costs);
      const size = costs[0]?.size ?? 0;
      const columns = [
        cost.wall.toFixed(2).padStart(8),
        (base && member !== baseline ? `x ${(base / cost.wall).toFixed(2)}` : '').padStart(7),
        cost.cpu.toFixed(2).padStart(7),
        cost.server.toFixed(2).padStart(7),
        megabytes(cost.memory).padStart(8),
        megabytes(cost.written).padStart(9),
        (size ? megabytes(size) : '').padStart(9),
        (size ? (plain / size).toFixed(2) : '').padStart(6),
      ];
      say(`  ${member.name.padEnd(50)} ${columns.join(' ')}`);
    }
  }
}

/** @param {Map<Contestant, Result[]>} results @returns {Map<string, Contestant[]>} */
function grouped(results) {
  const groups = new Map();
  for (const member of results.keys()) groups.set(member.group, [...(groups.get(member.group) ?? []), member]);
  return groups;
}

/** @param {number} size */
async function prepare(size) {
  const { Scene } = await import('../test/support/scene.mjs');
  const { generate } = await import('./data.mjs');
  const settings = {
    autovacuum: 'off',
    max_wal_size: '16GB',
    checkpoint_timeout: '1h',
    shared_buffers: '512MB',
    maintenance_work_mem: '256MB',
  };
  const scene = await Scene.open(17, { workload: false, server: { settings } });
  const start = performance.now();
  say(`generating about ${size} MB ...`);
  const bytes = await generate(scene.server, size);
  say(`generated ${megabytes(bytes)} in ${seconds(start)} s`);
  return { scene, bytes };
}

async function main() {
  const begun = await begin(
    {
      size: { number: 2048, least: 16 },
      rounds: { number: 3 },
      only: { words: ['none', 'lz4', 'zstd-3', 'zstd-3 + aes-256-gcm'], several: true },
    },
    { usage: USAGE, peers: 'pg_basebackup' },
  );
  if (begun === undefined) return 2;
  const { options, bin } = begun;
  const contest = await import('./contestants.mjs');
  const { scene, bytes } = await prepare(options.size);
  say(`idle daemon: ${megabytes(residentSize(scene.pgmoneta.pid ?? 0))} resident`);
  const folder = contest.peerFolder(scene);
  const variants = /** @type {Variant[]} */ (Object.keys(contest.VARIANTS)).filter(
    (name) => options.only?.includes(name) ?? true,
  );
  const steps = variants.map((variant) => {
    const encrypted = variant.includes('aes');
    const peers = bin && !encrypted;
    const canUnpack = variant === 'none' || contest.installed(variant === 'lz4' ? 'lz4' : 'zstd');
    return [
      [contest.productBackup(scene, variant), ...(bin ? [contest.peerBackup(scene, bin, folder, variant)] : [])],
      [contest.productRestore(scene, variant), ...(peers && canUnpack ? contest.peerRestores(folder, variant) : [])],
      [contest.productVerify(scene, variant)],
    ];
  });
  /** @type {Map<Contestant, Result[]>} */
  const results = new Map();
  for (let round = 0; round < options.rounds; round++) {
    say(`round ${round + 1} of ${options.rounds}`);
    for (const step of steps.flat()) await runStep(step, round, results);
  }
  report(results, bytes);
  await scene.close();
  return 0;
}

await script('bench', main);
process.exit();
