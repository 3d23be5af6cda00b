import { PgmonetaError } from '../errors/index.js';
import { WalWriter } from '../native/wal-writer.js';
import {
  type Connection,
  formatLsn,
  type Lsn,
  type NextTimeline,
  type SegmentName,
  statusUpdate,
  streamWal,
  type TimelineId,
  toLsn,
  type WalHeader,
  type WalSink,
  watchSilence,
} from '../postgres/index.js';

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

/**
 * Receives WAL of one timeline over one connection. The server is told that WAL is flushed only after the writer has
 * made it durable, and at once when it asks.
 */
export class WalSession implements WalSink {
  readonly #options: SessionOptions;
  readonly #writer: WalWriter;
  #expected: bigint;
  #written: bigint;
  #durable: bigint;
  #serverEnd: bigint;
  #failure: Error | undefined;
  #resume: (() => void) | undefined;
  #full = false;
  #ended = false;

  /** @throws PgmonetaError USAGE, IO */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#expected = options.start;
    this.#written = options.start;
    this.#durable = options.start;
    this.#serverEnd = options.start;
    const { directory, timeline, segmentSize, pageSize, start, budget } = options;
    this.#writer = new WalWriter(
      { directory, timeline, segmentSize, pageSize, start, budget },
      {
        durable: (written, durable, finished) => this.#becameDurable(written, durable, finished),
        drained: () => this.#goOn(),
        failed: (error) => this.#failed(error),
      },
    );
  }

  /**
   * Streams until the timeline ends, the connection breaks, or `stop`. Whatever the end, what was received is durable
   * when it settles, unless the writer itself has failed.
   * @returns the timeline to go on with; null when the server ended the stream without one
   */
  async run(): Promise<NextTimeline | null> {
    const { connection, slot, timeline, start, timeout } = this.#options;
    const stopWatching = watchSilence(connection, 'WAL streaming', timeout, () => true);
    const timer = this.#reportRegularly();
    let next: NextTimeline | null;
    try {
      next = await streamWal(connection, { slot, timeline, start }, this);
    } catch (error) {
      throw this.#failure ?? error;
    } finally {
      clearInterval(timer);
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
      this.#sendStatus(connection.reads === reads);
      reads = connection.reads;
    }, interval * 1000);
  }

  /** Ends the session in order: what was received becomes durable and the server is told. */
  async stop(reason: string): Promise<void> {
    await this.#close();
    const { connection } = this.#options;
    if (!connection.closed) this.#sendStatus(false);
    connection.abort(new PgmonetaError('CANCELLED', reason));
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#goOn();
    try {
      this.#durable = await this.#writer.close();
      this.#written = this.#durable;
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  started(): void {
    this.#options.events.started();
  }

  begin({ start, serverEnd }: WalHeader): void {
    if (start !== this.#expected) {
      throw new PgmonetaError(
        'POSTGRES_PROTOCOL',
        `the server sent WAL from ${formatLsn(toLsn(start))} on where ${formatLsn(toLsn(this.#expected))} should follow`,
        { hint: 'nothing of it was kept; the receiver connects anew', retryable: true },
      );
    }
    if (serverEnd > this.#serverEnd) this.#serverEnd = serverEnd;
  }

  data(piece: Buffer): boolean {
    this.#expected += BigInt(piece.length);
    this.#full = !this.#writer.push(piece) || this.#full;
    return !this.#full;
  }

  keepalive(serverEnd: bigint, reply: boolean): void {
    if (serverEnd > this.#serverEnd) this.#serverEnd = serverEnd;
    this.#progress();
    if (reply) this.#sendStatus(false);
  }

  drained(): Promise<void> {
    if (!this.#full) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  #goOn(): void {
    this.#full = false;
    this.#resume?.();
    this.#resume = undefined;
  }

  #becameDurable(written: bigint, durable: bigint, finished: readonly string[]): void {
    this.#written = written;
    this.#durable = durable;
    this.#sendStatus(false);
    this.#progress();
    this.#options.events.durable(toLsn(durable), finished as readonly SegmentName[]);
  }

  #failed(error: Error): void {
    this.#failure = error;
    this.#goOn();
    this.#options.connection.abort(
      error instanceof PgmonetaError ? error : new PgmonetaError('INTERNAL', error.message, { cause: error }),
    );
  }

  /** Nothing is applied here, so `remote_apply` waits for ever: anything else would be a lie. */
  #sendStatus(reply: boolean): void {
    const { connection } = this.#options;
    if (connection.closed) return;
    const status = { written: this.#written, flushed: this.#durable, applied: 0n, reply };
    connection.send(statusUpdate(status, Date.now()));
  }

  #progress(): void {
    this.#options.events.progress({
      written: toLsn(this.#written),
      durable: toLsn(this.#durable),
      serverEnd: toLsn(this.#serverEnd),
      received: Number(this.#expected - this.#options.start),
    });
  }
}
