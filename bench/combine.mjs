#!/usr/bin/env node
/**
 * Benchmark on PostgreSQL 17: taking and restoring chains of incremental backups, beside pg_basebackup --incremental and
 * pg_combinebackup. Ours are stored in zstd-3; the peer reads plain directories, and in a second form unpacks its tars in
 * zstd-3 first. Prints what was measured and asserts nothing.
 */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { script, seconds } from '../scripts/lib/run.mjs';
import { begin } from './begin.mjs';
import { evict } from './cache.mjs';
import { median, medianCost } from './measure.mjs';
import { megabytes, say, table } from './options.mjs';

const USAGE = `Usage: npm run bench:combine -- [--size MB] [--length N] [--changed PERCENT] [--rounds N] [--cold] [--matrix]
  --size     size of the database in MB, default 1024
  --length   incremental backups on top of the full one, default 3
  --changed  pages that are changed before each of them, in percent, default 10
  --rounds   how often each restore is measured, default 3; medians are printed
  --cold     the backups are on disk and not in memory when they are restored
  --matrix   chains of 1, 3 and 7 with 1, 10 and 50 percent changed, in place of one combination
`;

/** @typedef {{size: number, rounds: number, cold: boolean}} Options */
/** @typedef {import('./chain.mjs').Chains} Chains */
/** @typedef {import('./chain.mjs').Taken} Taken */
/** @typedef {import('./chain.mjs').Restored} Restored */
/** @typedef {{changed: number, length: number, who: string, costs: Restored[]}} Line */

/** Restores the newest backup with everybody; who starts changes from round to round, so that caches favour nobody. @param {Chains} chains @param {Options} options @param {number} changed @returns {Promise<Line[]>} */
async function restoreAll(chains, { rounds, cold }, changed) {
  const contestants = chains.contestants();
  if (chains.tars && contestants.length < 4) say('no room on the disk for unpacking first: left out');
  const lines = contestants.map(({ name }) => ({ changed, length: chains.length, who: name, costs: [] }));
  /** @type {Map<string, Restored[]>} */
  const results = new Map(lines.map(({ who, costs }) => [who, costs]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of round % 2 === 0 ? contestants : [...contestants].reverse()) {
      if (cold) evict(chains.stored());
      else execFileSync('sync');
      const cost = await run();
      results.get(name)?.push(cost);
      say(`  chain of ${chains.length}: ${name}: ${cost.wall.toFixed(2)} s + ${cost.start.toFixed(2)} s`);
    }
  }
  return lines;
}

/**
 * One chain: after the backups whose number is in `lengths` everything is restored.
 * @param {Options} options @param {string | undefined} bin @param {number} changed @param {number[]} lengths
 */
async function measureChain(options, bin, changed, lengths) {
  const { Chains } = await import('./chain.mjs');
  const start = performance.now();
  const chains = await Chains.open(options.size, bin);
  say(`\n${changed} % changed: generated ${megabytes(chains.database)} in ${seconds(start)} s`);
  /** @type {Line[]} */
  const restored = [];
  /** @type {Map<string, Taken>[]} */
  const taken = [];
  try {
    for (let number = 0; number <= Math.max(...lengths); number++) {
      if (number > 0) await chains.change(changed);
      taken.push(await chains.backUp());
      if (lengths.includes(number)) restored.push(...(await restoreAll(chains, options, changed)));
    }
  } finally {
    await chains.scene.close();
  }
  return { changed, taken, restored };
}

/** What backups cost: the full one, and the incremental ones in the middle. @param {{changed: number, taken: Map<string, Taken>[]}[]} all */
function reportBackups(all) {
  /** @type {string[][]} */
  const rows = [];
  for (const { changed, taken } of all) {
    const [full, ...incremental] = taken;
    for (const who of full?.keys() ?? []) {
      const parts = /** @type {const} */ ([
        ['full', [full]],
        [`${changed} % changed`, incremental],
      ]);
      for (const [what, backups] of parts) {
        const costs = backups.flatMap((backup) => backup?.get(who) ?? []);
        const cost = medianCost(costs);
        rows.push([
          `${what}, ${who}`,
          cost.wall.toFixed(2),
          cost.cpu.toFixed(2),
          cost.server.toFixed(2),
          megabytes(cost.memory),
          megabytes(cost.written),
          megabytes(median(costs.map(({ size }) => size))),
        ]);
      }
    }
  }
  say('\nTaking backups: medians of all incremental ones of a chain; CPU of who takes it, and of the server');
  table(['backup', 'wall s', 'CPU s', 'server s', 'memory', 'written', 'stored'], rows);
}

/** @param {Line[]} lines @param {boolean} cold */
function reportRestores(lines, cold) {
  const rows = lines.map(({ changed, length, who, costs }) => {
    const cost = medianCost(costs);
    const total = median(costs.map(({ wall, start }) => wall + start));
    const ours = lines.find((line) => line.changed === changed && line.length === length);
    const ourTotal = median((ours?.costs ?? costs).map(({ wall, start }) => wall + start));
    const ourWall = medianCost(ours?.costs ?? costs).wall;
    const ratio = (/** @type {number} */ theirs, /** @type {number} */ own) =>
      who === ours?.who ? '' : (theirs / own).toFixed(2);
    return [
      `${changed} %, ${length}: ${who}`,
      cost.wall.toFixed(2),
      ratio(cost.wall, ourWall),
      total.toFixed(2),
      ratio(total, ourTotal),
      cost.cpu.toFixed(2),
      megabytes(cost.memory),
      megabytes(cost.written),
      megabytes(costs[0]?.size ?? 0),
    ];
  });
  say(`\nThe backups are ${cold ? 'on disk and not in memory' : 'in memory where it has room for them'}.`);
  say('Restoring: ratios are the time of the peer divided by ours; "accepts" is the first accepted connection');
  table(['restore', 'wall s', 'ratio', 'accepts s', 'ratio', 'CPU s', 'memory', 'written', 'output'], rows);
}

async function main() {
  const begun = await begin(
    {
      size: { number: 1024, least: 16 },
      length: { number: 3 },
      changed: { number: 10 },
      rounds: { number: 3 },
      cold: { switch: true },
      matrix: { switch: true },
    },
    { usage: USAGE, peers: 'pg_combinebackup' },
  );
  if (begun === undefined) return 2;
  const { options, bin } = begun;
  const [percents, lengths] = options.matrix
    ? [
        [1, 10, 50],
        [1, 3, 7],
      ]
    : [[options.changed], [options.length]];
  const all = [];
  for (const changed of percents) {
    const measured = await measureChain(options, bin, changed, lengths);
    all.push(measured);
    reportBackups([measured]);
    reportRestores(measured.restored, options.cold);
  }
  if (all.length > 1) {
    reportBackups(all);
    reportRestores(
      all.flatMap(({ restored }) => restored),
      options.cold,
    );
  }
  say(
    `\nload of the machine at the end: ${os
      .loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}`,
  );
  return 0;
}

await script('bench', main);
process.exit();
