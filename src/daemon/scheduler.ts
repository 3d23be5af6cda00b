import { asPgmonetaError } from '../errors/index.js';
import type { Log } from './log.js';

/** Work that comes again and again for each server. */
export interface Chore {
  readonly name: string;
  /** Seconds from the end of one run to the next; 0: not at all, asked again later. */
  interval(): number;
  /** Seconds from the start of the daemon to the first run; without it that comes within the interval. */
  readonly first?: number;
  /** Does it for one server. What it throws is logged; a retryable error means that somebody was in the way. */
  run(server: string, signal: AbortSignal): Promise<void>;
}

/** How long a chore waits that could not be done, or that is switched off, in seconds at most. */
const SOON = 60;
/** The first run of a daemon comes after at most so many seconds: one that is restarted each day does its chores too. */
const FIRST = 3600;
/** Longest delay that timers of Node take, in milliseconds. */
const LONGEST = 0x7fff_ffff;

/**
 * Runs chores, each of them one at a time per server. Delays are those of a clock that nobody sets, and differ by a
 * tenth, so that servers do not all have theirs in the same second. No failure ends the round.
 */
export class Scheduler {
  readonly #chores: readonly Chore[];
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(chores: readonly Chore[], log: Log) {
    this.#chores = chores;
    this.#log = log;
  }

  /** Begins; the first run of each chore comes within its interval, an hour at the latest, unless it says when. */
  start(servers: readonly string[]): void {
    for (const chore of this.#chores) {
      for (const server of servers) {
        const within = Math.min(chore.interval() || SOON, FIRST);
        this.#after(chore.first ?? within * (0.5 + Math.random() / 2), chore, server);
      }
    }
  }

  /** Begins nothing more, and tells what runs to end; the supervisor waits for it. */
  stop(): void {
    this.#stop.abort('the daemon is shutting down');
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #after(seconds: number, chore: Chore, server: string): void {
    if (this.#stop.signal.aborted) return;
    const timer = setTimeout(() => void this.#begin(chore, server), Math.min(seconds * 1000, LONGEST));
    timer.unref();
    this.#timers.set(`${chore.name} ${server}`, timer);
  }

  async #begin(chore: Chore, server: string): Promise<void> {
    const seconds = await this.#once(chore, server);
    this.#after(seconds * (0.9 + Math.random() / 5), chore, server);
  }

  /** @returns seconds until the next run */
  async #once(chore: Chore, server: string): Promise<number> {
    const interval = chore.interval();
    if (interval <= 0) return SOON;
    try {
      await chore.run(server, this.#stop.signal);
      return interval;
    } catch (error) {
      if (this.#stop.signal.aborted) return interval;
      const { code, message, hint, retryable } = asPgmonetaError(error);
      if (retryable && code !== 'INTERNAL') {
        this.#log.debug(`${chore.name} of ${server} comes later: ${message}`);
        return Math.min(interval, SOON);
      }
      this.#log.error(`${chore.name} of ${server} failed: ${message}${hint ? `; ${hint}` : ''}`, { server });
      return interval;
    }
  }
}
