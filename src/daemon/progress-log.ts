import type { TrackedJob } from './job-tracker.js';
import type { Log } from './log.js';

/** How often a phase that goes on is written of, in milliseconds. */
const INTERVAL = 60_000;

/** Writes of a job when it begins a phase, and once a minute while that goes on: `progress = on`. */
export class ProgressLog {
  readonly #log: Log;
  readonly #name: string;
  readonly #now: () => number;
  #phase: string | undefined;
  #at = 0;

  /** @param name of the job, for people */
  constructor(log: Log, name: string, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#name = name;
    this.#now = now;
  }

  /** Takes a report; most leave no trace. */
  report({ id, phase, done, total, unit, rate, percentage }: TrackedJob): void {
    if (phase === this.#phase && this.#now() - this.#at < INTERVAL) return;
    this.#phase = phase;
    this.#at = this.#now();
    const fields = { job: id, done: Math.round(done), total: Math.round(total), unit, rate: Math.round(rate) };
    this.#log.info(`${this.#name}: ${phase}, ${percentage}%`, fields);
  }
}
