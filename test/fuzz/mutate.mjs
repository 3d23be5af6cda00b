/** Random numbers that a seed decides (mulberry32). Returns a function for whole numbers below a limit. */
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

function splice(input, start, remove, insert) {
  return Buffer.concat([input.subarray(0, start), insert, input.subarray(start + remove)]);
}

const MUTATIONS = [
  (input, random) => {
    const copy = Buffer.from(input);
    if (copy.length > 0) copy[random(copy.length)] ^= 1 << random(8);
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
    const other = pool[random(pool.length)];
    return Buffer.concat([input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1))]);
  },
  (input, random) => {
    const text = input.toString('latin1');
    const numbers = [...text.matchAll(/[0-9]+/g)];
    const chosen = numbers[random(numbers.length)];
    if (chosen === undefined) return input;
    return splice(input, chosen.index, chosen[0].length, Buffer.from(NUMBERS[random(NUMBERS.length)]));
  },
  (input, random, { tokens }) => {
    const token = Buffer.from(tokens[random(tokens.length)] ?? 'x');
    const times = 1 << random(12);
    return splice(input, random(input.length + 1), 0, Buffer.concat(Array(times).fill(token)).subarray(0, MAX_INPUT));
  },
];

/** Makes a new input from the pool. */
export function mutate(pool, tokens, random) {
  let input = pool[random(pool.length)];
  for (let count = random(6) + 1; count > 0; count--) {
    input = MUTATIONS[random(MUTATIONS.length)](input, random, { tokens, pool });
  }
  return input.subarray(0, MAX_INPUT);
}
