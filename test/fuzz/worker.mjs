import { parentPort, workerData } from 'node:worker_threads';
import { mutate, randomFrom } from './mutate.mjs';
import { product } from './product.mjs';

const { target, seed, seconds, shared } = workerData;
const counters = new Int32Array(shared, 0, 2);
const current = Buffer.from(shared, 8);
const POOL = 500;

const { PgmonetaError } = await product('errors/index.js');
const { seeds, tokens, run } = await import(`./targets/${target}.mjs`);
const random = randomFrom(seed);
/** @type {Buffer[]} */
const pool = seeds.map((/** @type {string | Buffer} */ text) => Buffer.from(text));
const fixed = pool.length;

/**
 * Feeds one input; whether it was accepted.
 * @param {Buffer} input
 */
async function feed(input) {
  input.copy(current);
  Atomics.store(counters, 1, input.length);
  Atomics.add(counters, 0, 1);
  try {
    await run(Buffer.from(input));
    return true;
  } catch (error) {
    if (error instanceof PgmonetaError) return false;
    throw error;
  }
}

const counts = { inputs: 0, accepted: 0, refused: 0 };
const end = performance.now() + seconds * 1000;
for (const input of [...pool]) await feed(input);
while (performance.now() < end) {
  const input = mutate(random, { pool, tokens });
  const accepted = await feed(input);
  counts.inputs += 1;
  counts[accepted ? 'accepted' : 'refused'] += 1;
  // Mutations build on each other, within limits: some inputs take the place of earlier ones.
  if (random(accepted ? 10 : 1000) === 0) {
    if (pool.length < POOL) pool.push(input);
    else pool[fixed + random(POOL - fixed)] = input;
  }
}
parentPort?.postMessage(counts);
