/** Waiting times between attempts: doubled from the first to the longest, each shortened by chance by up to a half. */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  readonly #random: () => number;
  #attempts = 0;

  /** @param first and longest in milliseconds */
  constructor(first: number, longest: number, random: () => number = Math.random) {
    this.#first = first;
    this.#longest = longest;
    this.#random = random;
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    // Far beyond the longest wait the exponent would only overflow.
    const full = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#attempts++, 30));
    // Daemons that lost the same server at the same moment must not all come back at the same moment.
    return full * (1 - this.#random() / 2);
  }

  /** An attempt has succeeded. */
  reset(): void {
    this.#attempts = 0;
  }
}
