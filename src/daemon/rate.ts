/** Seconds over which the rate is averaged: long enough to be calm, short enough to show a stall. */
const WINDOW = 10_000;

/** Measures how fast counters grow and how long the rest will take. */
export class RateMeter {
  readonly #started = Date.now();
  #phase = '';
  #samples: { at: number; done: number }[] = [];

  /** Takes one reading. Rate in units a second, elapsed and remaining in seconds. */
  measure(progress: { phase: string; done: number; total: number }): {
    rate: number;
    elapsed: number;
    remaining: number | undefined;
  } {
    const now = Date.now();
    if (progress.phase !== this.#phase) {
      this.#phase = progress.phase;
      this.#samples = [];
    }
    this.#samples.push({ at: now, done: progress.done });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > WINDOW) this.#samples.shift();
    const first = this.#samples[0];
    const span = first === undefined ? 0 : (now - first.at) / 1000;
    const rate = first === undefined || span <= 0 ? 0 : Math.max(0, (progress.done - first.done) / span);
    const left = progress.total - progress.done;
    const remaining = rate > 0 && progress.total > 0 && left >= 0 ? left / rate : undefined;
    return { rate, elapsed: (now - this.#started) / 1000, remaining };
  }
}
