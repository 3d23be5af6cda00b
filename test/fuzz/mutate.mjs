/** @typedef {(limit: number) => number} Random a whole number below a limit */
/** @typedef {{ tokens: readonly string[], pool: readonly Buffer[] }} Material */

/**
 * Random numbers that a seed decides (mulberry32).
 * @param {number} seed
 * @returns {Random}
 */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, limit);
  };
}

/** Largest input, in bytes. */
export const MAX_INPUT = 64 * 1024;

const NUMBERS = ['0', '-1', '1', '2147483648', '9007199254740993', '18446744073709551616', '1e309', '0x10', '007'];

/**
 * @param {Buffer} input
 * @param {number} start
 * @param {number} remove
 * @param {Buffer} insert
 */
function splice(input, start, remove, insert) {
  return Buffer.concat([input.subarray(0, start), insert, input.subarray(start + remove)]);
}

/** @type {readonly ((input: Buffer, random: Random, material: Material) => Buffer)[]} */
const MUTATIONS = [
  (input, random) => {
    const copy = Buffer.from(input);
    const place = random(copy.length);
    if (copy.length > 0) copy[place] = (copy[place] ?? 0) ^ (1 << random(8));
    return copy;
  },
  (input, random) => splice(input, random(input.length + 1), 0, Buffer.from([random(256)])),
  (input, random) => splice(input, random(input.length + 1), random(8) + 1, Buffer.alloc(0)),
  (input, random) => {
    const start = random(input.length + 1);
    return splice(input, random(input.length + 1), 0, input.subarray(start, start + random(64)));
  },
  (input, random) => input.subarray(0, random(input.length + 1)),
  (input, random, { tokens }) =>
    splice(input, random(input.length + 1), random(4), Buffer.from(tokens[random(tokens.length)] ?? '')),
  (input, random, { pool }) => {
    const other = pool[random(pool.length)] ?? input;
    return Buffer.concat([input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1))]);
  },
  (input, random) => {
    const numbers = [...input.toString('latin1').matchAll(/[0-9]+/g)];
    const chosen = numbers[random(numbers.length)];
    if (chosen === undefined) return input;
    return splice(input, chosen.index, chosen[0].length, Buffer.from(NUMBERS[random(NUMBERS.length)] ?? '0'));
  },
  (input, random, { tokens }) => {
    const token = Buffer.from(tokens[random(tokens.length)] ?? 'x');
    const run = Buffer.concat(Array(1 << random(12)).fill(token)).subarray(0, MAX_INPUT);
    return splice(input, random(input.length + 1), 0, run);
  },
];

/**
 * Makes a new input from the pool.
 * @param {Random} random
 * @param {Material} material
 */
export function mutate(random, material) {
  let input = material.pool[random(material.pool.length)] ?? Buffer.alloc(0);
  for (let count = random(6) + 1; count > 0; count--) {
    input = MUTATIONS[random(MUTATIONS.length)]?.(input, random, material) ?? input;
  }
  return input.subarray(0, MAX_INPUT);
}
