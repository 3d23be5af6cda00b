import { PgmonetaError } from '../errors/index.js';
import {
  type Connection,
  type Lsn,
  type NextTimeline,
  type SegmentName,
  streamWal,
  type TimelineId,
  toLsn,
  watchSilence,
} from '../postgres/index.js';
import type { IntakePositions, WalIntake } from './intake.js';
import { LinkIntake } from './link-intake.js';
import { PushedIntake } from './pushed-intake.js';

/** How far a session is. */
export interface SessionPositions {
  readonly written: Lsn;
  readonly durable: Lsn;
  readonly serverEnd: Lsn;
  /** Bytes that came over this connection. */
  readonly received: number;
}

/** What a session tells while it runs. */
export interface SessionEvents {
  /** The server has begun to stream. */
  started(): void;
  /** Positions have moved. */
  progress(positions: SessionPositions): void;
  /** Everything before `durable` is durable. @param finished segments that were completed and named with it */
  durable(durable: Lsn, finished: readonly SegmentName[]): void;
}

/** One stream of one timeline. */
export interface SessionOptions {
  readonly connection: Connection;
  readonly slot: string;
  readonly timeline: TimelineId;
  /** The start of a segment. */
  readonly start: Lsn;
  readonly directory: string;
  readonly segmentSize: number;
  readonly pageSize: number;
  /** Seconds without a byte from the server after which the link is taken to be dead; 0 never. */
  readonly timeout: number;
  /** Seconds between status updates when nothing else calls for one; 0 leaves it to the server to ask. */
  readonly statusInterval: number;
  /** Bytes that may wait in memory for the disk. */
  readonly budget: number;
  readonly events: SessionEvents;
}

/** How often it is looked at whether the server has to be spoken to, in milliseconds. */
const RELIEF_INTERVAL = 1000;

/**
 * Receives WAL of one timeline over one connection. The server is told that WAL is flushed only after it was made
 * durable, and at once when it asks.
 */
export class WalSession {
  readonly #options: SessionOptions;
  readonly #intake: WalIntake;
  #failure: Error | undefined;
  #ended = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { connection, events } = options;
    const Intake = connection.detachable ? LinkIntake : PushedIntake;
    this.#intake = new Intake({
      ...options,
      events: {
        started: () => events.started(),
        progress: (positions) => this.#progress(positions),
        durable: (durable, finished) => events.durable(toLsn(durable), finished),
        failed: (error) => this.#failed(error),
      },
    });
  }

  /** Tells the positions of this very moment as progress. */
  refresh(): void {
    if (!this.#ended) this.#progress(this.#intake.positions());
  }

  /**
   * Streams until the timeline ends, the connection breaks, or `stop`. Whatever the end, what was received is durable
   * when it settles, unless the writing itself has failed.
   * @returns the timeline to go on with; null when the server ended the stream without one
   */
  async run(): Promise<NextTimeline | null> {
    const { connection, slot, timeline, start, timeout } = this.#options;
    const stopWatching = watchSilence(connection, 'WAL streaming', timeout, () => true);
    const timers = [this.#reportRegularly(), setInterval(() => this.#intake.relieve(), RELIEF_INTERVAL)];
    let next: NextTimeline | null;
    try {
      next = await streamWal(connection, { slot, timeline, start }, this.#intake);
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      for (const timer of timers) clearInterval(timer);
      stopWatching();
      await this.#close();
    }
    // The server has sent all of the timeline; when the end of it could not be kept, the next one must not begin.
    if (this.#failure !== undefined) throw this.#failure;
    return next;
  }

  #reportRegularly(): NodeJS.Timeout | undefined {
    const { connection, timeout, statusInterval } = this.#options;
    // At least twice within the time after which the link is given up.
    const interval = Math.min(statusInterval || Number.POSITIVE_INFINITY, timeout / 3 || Number.POSITIVE_INFINITY);
    if (interval === Number.POSITIVE_INFINITY) return undefined;
    let reads = connection.reads;
    return setInterval(() => {
      // A healthy server may have nothing to say: asking it is the only way to tell it from a dead one.
      this.#intake.sendStatus(connection.reads === reads);
      reads = connection.reads;
    }, interval * 1000);
  }

  /** Ends the session in order: what was received becomes durable and the server is told. */
  async stop(reason: string): Promise<void> {
    await this.#close();
    this.#intake.sendStatus(false);
    this.#options.connection.abort(new PgmonetaError('CANCELLED', reason));
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      await this.#intake.close();
      this.#progress(this.#intake.positions());
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  #failed(error: Error): void {
    this.#failure = error;
    this.#options.connection.abort(
      error instanceof PgmonetaError ? error : new PgmonetaError('INTERNAL', error.message, { cause: error }),
    );
  }

  #progress({ written, durable, serverEnd }: IntakePositions): void {
    this.#options.events.progress({
      written: toLsn(written),
      durable: toLsn(durable),
      serverEnd: toLsn(serverEnd),
      received: Number(written - this.#options.start),
    });
  }
}
