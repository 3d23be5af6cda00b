import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MAX_INPUT } from './mutate.mjs';

/** Longest time for one input, in milliseconds. */
const INPUT_MS = 5000;
const HEAP_MB = 512;

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const targets = readdirSync(join(here, 'targets')).map((file) => file.replace(/\.mjs$/, ''));

const [target = '', secondsText = '10', seedText] = process.argv.slice(2);
const seconds = Number(secondsText);
const seed = seedText === undefined ? Date.now() >>> 0 : Number(seedText) >>> 0;
if (!targets.includes(target) || !(seconds > 0)) {
  console.error(`use: npm run fuzz -- <target> <seconds> [seed]\ntargets: ${targets.join(', ')}`);
  process.exit(1);
}

const compiler = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc');
// Type errors are the linter's matter; what was emitted is what is fuzzed.
spawnSync(process.execPath, [compiler, '--project', join(root, 'tsconfig.json')], { stdio: 'ignore', cwd: root });

console.log(`fuzz ${target}: ${seconds} s, seed ${seed}`);
const shared = new SharedArrayBuffer(8 + MAX_INPUT);
const counters = new Int32Array(shared, 0, 2);
const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
  workerData: { target, seed, seconds, shared },
  resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
});

/**
 * Keeps the input and ends the run.
 * @param {string} why
 */
function fail(why) {
  clearInterval(watch);
  const input = Buffer.from(Buffer.from(shared, 8, Atomics.load(counters, 1)));
  const file = join(mkdtempSync(join(tmpdir(), `fuzz-${target}-`)), 'input');
  writeFileSync(file, input);
  console.error(`fuzz ${target}: ${why}\nseed ${seed}, input ${counters[0]} (${input.length} bytes) is in ${file}`);
  worker.terminate().finally(() => process.exit(1));
}

let seen = 0;
let since = performance.now();
const watch = setInterval(() => {
  const now = Atomics.load(counters, 0);
  if (now !== seen) {
    seen = now;
    since = performance.now();
  } else if (seen > 0 && performance.now() - since > INPUT_MS) {
    fail(`the input takes longer than ${INPUT_MS} ms`);
  }
}, 200);

worker.on('error', (error) => fail(error instanceof Error ? String(error.stack) : String(error)));
worker.on('message', ({ inputs, accepted, refused }) => {
  clearInterval(watch);
  console.log(`fuzz ${target}: ${inputs} inputs, ${accepted} accepted, ${refused} refused, no failure`);
});
