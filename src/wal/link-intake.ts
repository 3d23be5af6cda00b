import { PgmonetaError } from '../errors/index.js';
import { WalLink } from '../native/wal-link.js';
import type { SegmentName } from '../postgres/index.js';
import type { IntakeOptions, IntakePositions, WalIntake } from './intake.js';

/**
 * Leaves the link to a native thread as soon as the stream begins: from the socket to the disk and back to the server
 * nothing waits for the event loop. For links without TLS.
 */
export class LinkIntake implements WalIntake {
  readonly #options: IntakeOptions;
  #link: WalLink | undefined;
  #final: IntakePositions;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { start } = options;
    this.#final = { written: start, durable: start, serverEnd: start };
  }

  positions(): IntakePositions {
    return this.#link?.positions ?? this.#final;
  }

  sendStatus(reply: boolean): void {
    this.#link?.sendStatus(reply);
  }

  relieve(): void {
    this.#link?.relieve();
  }

  started(): void {
    const { connection, events } = this.#options;
    connection.detach({
      begin: (descriptor, received) => this.#begin(descriptor, received),
      reads: () => this.#link?.reads ?? 0,
    });
    events.started();
  }

  #begin(descriptor: number, received: Buffer): void {
    const { connection, timeline, start, directory, segmentSize, pageSize, events } = this.#options;
    this.#link = new WalLink(
      { directory, timeline, segmentSize, pageSize, start, descriptor, received },
      {
        progress: (positions, finished) => {
          events.progress(positions);
          events.durable(positions.durable, finished as readonly SegmentName[]);
        },
        returned: (rest) => connection.attach(rest),
        failed: (error) => events.failed(error),
      },
    );
  }

  async close(): Promise<bigint> {
    const link = this.#link;
    if (link === undefined) return this.#final.durable;
    const durable = await link.close();
    this.#final = { ...link.positions, written: durable, durable };
    this.#link = undefined;
    return durable;
  }

  begin(): void {
    throw misled();
  }

  data(): boolean {
    throw misled();
  }

  keepalive(): void {
    throw misled();
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }
}

function misled(): PgmonetaError {
  return new PgmonetaError('INTERNAL', 'WAL came to the event loop although a thread reads it');
}
