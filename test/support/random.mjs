/**
 * Random numbers that can be repeated: the seed is PGMONETA_TEST_SEED or the time, and is printed so that a failure
 * can be played again.
 * @param {string} what for the printed line
 * @returns {() => number} the next number, 0 <= x < 1
 */
export function seeded(what) {
  const seed = Number(process.env.PGMONETA_TEST_SEED ?? Date.now() % 2 ** 31);
  process.stdout.write(`${what}: PGMONETA_TEST_SEED=${seed}\n`);
  let state = seed >>> 0;
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
