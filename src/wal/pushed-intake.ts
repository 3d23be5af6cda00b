import { PgmonetaError } from '../errors/index.js';
import { WalWriter } from '../native/wal-writer.js';
import { formatLsn, type SegmentName, statusUpdate, toLsn, type WalHeader } from '../postgres/index.js';
import type { IntakeOptions, IntakePositions, WalIntake } from './intake.js';

/** Takes WAL from the event loop, where TLS decrypts it, and hands it to a thread that writes and syncs. */
export class PushedIntake implements WalIntake {
  readonly #options: IntakeOptions;
  #writer: WalWriter | undefined;
  #expected: bigint;
  #written: bigint;
  #durable: bigint;
  #serverEnd: bigint;
  #resume: (() => void) | undefined;
  #full = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { start } = options;
    this.#expected = start;
    this.#written = start;
    this.#durable = start;
    this.#serverEnd = start;
  }

  positions(): IntakePositions {
    return { written: this.#written, durable: this.#durable, serverEnd: this.#serverEnd };
  }

  /** Nothing is applied here, so `remote_apply` waits for ever: anything else would be a lie. */
  sendStatus(reply: boolean): void {
    const { connection } = this.#options;
    if (connection.closed) return;
    const status = { written: this.#written, flushed: this.#durable, applied: 0n, reply };
    connection.send(statusUpdate(status, Date.now()));
  }

  relieve(): void {
    // The event loop answers by itself, however long a sync takes.
  }

  started(): void {
    const { directory, timeline, segmentSize, pageSize, start, budget, events } = this.#options;
    this.#writer = new WalWriter(
      { directory, timeline, segmentSize, pageSize, start, budget },
      {
        durable: (written, durable, finished) => this.#becameDurable(written, durable, finished),
        drained: () => this.#goOn(),
        failed: (error) => {
          this.#goOn();
          events.failed(error);
        },
      },
    );
    events.started();
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
    this.#full = this.#writer?.push(piece) === false || this.#full;
    return !this.#full;
  }

  keepalive(serverEnd: bigint, reply: boolean): void {
    if (serverEnd > this.#serverEnd) this.#serverEnd = serverEnd;
    this.#options.events.progress(this.positions());
    if (reply) this.sendStatus(false);
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
    this.sendStatus(false);
    const { events } = this.#options;
    events.progress(this.positions());
    events.durable(durable, finished as readonly SegmentName[]);
  }

  async close(): Promise<bigint> {
    this.#goOn();
    if (this.#writer === undefined) return this.#durable;
    this.#durable = await this.#writer.close();
    this.#written = this.#durable;
    return this.#durable;
  }
}
