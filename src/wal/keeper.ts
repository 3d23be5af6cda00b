import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import { type StoreOptions, storeWalSegment } from '../native/wal-writer.js';
import { isSegmentName } from '../postgres/index.js';
import type { WalLog } from './log.js';

/** Milliseconds until what could not be kept is tried again. */
const RETRY = 60_000;
const TEMPORARY = /^[0-9A-F]{24}[.a-z0-9]*\.tmp-[0-9]+-[0-9]+$/;

/** Lets at most so many pieces of work run at a time. */
export class Limit {
  readonly #most: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Runs the work when its turn has come. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** What a keeper is made of. */
export interface KeeperOptions {
  readonly server: string;
  readonly directory: string;
  /** The form that segments are kept in; undefined leaves them plain. Asked for each segment: it may change. */
  readonly form: () => StoreOptions | undefined;
  readonly limit: Limit;
  readonly log: WalLog;
}

/**
 * Brings whole segments into the form they are kept in, one after the other and behind the receiver: nothing here
 * delays an acknowledgement. A segment that cannot be stored stays plain and is tried again.
 */
export class SegmentKeeper {
  readonly #options: KeeperOptions;
  readonly #queue = new Set<string>();
  #working: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #problem: string | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** What is in the way, for people. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Takes segments in that are whole. */
  add(names: readonly string[]): void {
    for (const name of names) this.#queue.add(name);
    if (this.#closed || this.#queue.size === 0) return;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Removes temporary files that a killed daemon left. Only before anything else runs: later they are somebody's. */
  async sweep(): Promise<void> {
    const { directory } = this.#options;
    for (const name of await namesIn(directory)) if (TEMPORARY.test(name)) await removeTree(join(directory, name));
  }

  /** Takes in the plain segments that were left. */
  async scan(): Promise<void> {
    this.add((await namesIn(this.#options.directory)).filter(isSegmentName).sort());
  }

  /** Ends after the segment that is being stored. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  async #work(): Promise<void> {
    const { directory, form, limit, log, server } = this.#options;
    for (const name of this.#queue) {
      if (this.#closed) return;
      const options = form();
      if (options === undefined) {
        this.#queue.clear();
        return;
      }
      try {
        await limit.run(() => storeWalSegment(join(directory, name), options));
        this.#queue.delete(name);
        if (this.#problem !== undefined) log.info(`WAL segments of ${server} are stored again`);
        this.#problem = undefined;
      } catch (error) {
        const { message, hint } = asPgmonetaError(error);
        if (this.#problem === undefined) {
          log.error(
            `WAL segment ${name} of ${server} was not stored and stays plain: ${message}${hint ? `; ${hint}` : ''}`,
          );
        }
        this.#problem = message;
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.#queue.clear();
          this.scan().catch((failure: Error) => log.error(`WAL of ${server}: ${failure.message}`));
        }, RETRY).unref();
        return;
      }
    }
  }
}
