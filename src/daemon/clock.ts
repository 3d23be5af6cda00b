/** How far a clock may be set forward without being doubted, in milliseconds. */
const TOLERANCE = 3_600_000;
/** How long a clock that was set forward is doubted, in milliseconds. */
const DOUBT = 24 * 3_600_000;

/** Readings of two clocks, in milliseconds. */
export interface Clocks {
  /** The clock on the wall, which people and daemons set. */
  readonly wall: () => number;
  /** A clock that nobody sets. */
  readonly steady: () => number;
}

/**
 * Watches whether somebody sets the clock forward by hours. By such a clock backups look older than they are; so what
 * is done because of their age waits a day, in which people can put the clock right.
 */
export class ClockWatch {
  readonly #clocks: Clocks;
  #wall: number;
  #steady: number;
  #doubtUntil = Number.NEGATIVE_INFINITY;
  #leap = 0;

  constructor(clocks: Clocks = { wall: Date.now, steady: () => performance.now() }) {
    this.#clocks = clocks;
    this.#wall = clocks.wall();
    this.#steady = clocks.steady();
  }

  /** Why the clock is not to be relied upon now, in words; undefined when it is. */
  doubt(): string | undefined {
    const wall = this.#clocks.wall();
    const steady = this.#clocks.steady();
    const leap = wall - this.#wall - (steady - this.#steady);
    if (leap > TOLERANCE) {
      this.#leap = leap;
      this.#doubtUntil = steady + DOUBT;
    }
    this.#wall = wall;
    this.#steady = steady;
    if (steady >= this.#doubtUntil) return undefined;
    const hours = (this.#leap / 3_600_000).toFixed(1);
    const left = Math.ceil((this.#doubtUntil - steady) / 3_600_000);
    return `the clock of this host went forward by ${hours} hours at once; nothing expires by itself for ${left} hours`;
  }
}
