/** Milliseconds over which the rate is averaged: long enough to be calm, short enough to show a stall. */
const WINDOW = 10_000;

/** Measures how fast the counters of a phase grow and how long the rest of it will take. */
export class RateMeter {
  readonly #now: () => number;
  #phase = '';
  #total = 0;
  #samples: { at: number; done: number }[] = [];

  /** @param now milliseconds of a clock that never jumps */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes one reading. */
  take(progress: { readonly phase: string; readonly done: number; readonly total: number }): void {
    const now = this.#now();
    if (progress.phase !== this.#phase) {
      this.#phase = progress.phase;
      this.#samples = [];
    }
    this.#total = progress.total;
    this.#samples.push({ at: now, done: progress.done });
    while (this.#samples.length > 2 && now - (this.#samples[0]?.at ?? now) > WINDOW) this.#samples.shift();
  }

  /** Units in a second, up to now: it falls while nothing comes. Seconds that remain, where that can be told. */
  read(): { readonly rate: number; readonly remaining: number | undefined } {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined) return { rate: 0, remaining: undefined };
    const span = (this.#now() - first.at) / 1000;
    const rate = span <= 0 ? 0 : Math.max(0, (last.done - first.done) / span);
    const left = this.#total - last.done;
    return { rate, remaining: rate > 0 && this.#total > 0 && left >= 0 ? left / rate : undefined };
  }
}
