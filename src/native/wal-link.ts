import { fromNative, native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';

/** Where received WAL comes from and goes. */
export interface WalLinkOptions {
  /** `<server>/wal`; has to exist. */
  readonly directory: string;
  readonly timeline: number;
  /** Bytes of a segment. */
  readonly segmentSize: number;
  /** Bytes of a WAL page of the server. */
  readonly pageSize: number;
  /** First byte that will come: the start of a segment. */
  readonly start: bigint;
  /** File descriptor of the socket, which is in the middle of START_REPLICATION; nobody else may use it meanwhile. */
  readonly descriptor: number;
  /** What was read from it already. */
  readonly received: Buffer;
}

/** How far a link is: the byte after the last one written, durable, and at hand on the server. */
export interface LinkPositions {
  readonly written: bigint;
  readonly durable: bigint;
  readonly serverEnd: bigint;
}

/** What a link tells, from its own thread. Nothing is told after `returned` and `failed`. */
export interface WalLinkEvents {
  /** Positions have moved: ten times a second at most, unless segments were completed, whose names are `finished`. */
  progress(positions: LinkPositions, finished: readonly string[]): void;
  /** Something came that is not WAL, or the link broke: what came before is durable, and `rest` is what follows. */
  returned(rest: Buffer): void;
  /** The link is of no further use: IO, NO_SPACE, CORRUPT, POSTGRES_PROTOCOL, WAL_DIVERGED. */
  failed(error: Error): void;
}

interface LinkEvent {
  positions?: LinkPositions;
  finished: string[];
  rest?: Buffer;
  failure?: string;
}

interface NativeWalLink {
  positions(): LinkPositions;
  reads(): number;
  sendStatus(reply: boolean): void;
  relieve(): void;
  close(): Promise<bigint>;
}

interface LinkAddon {
  NativeWalLink: new (options: WalLinkOptions, report: (event: LinkEvent) => void) => NativeWalLink;
}

/**
 * Reads WAL from a socket, writes it into segment files and answers the server, on a thread of its own: what is durable
 * is acknowledged by the thread that made it so, whatever the event loop does.
 */
export class WalLink {
  readonly #native: NativeWalLink;

  /** @throws PgmonetaError USAGE, IO */
  constructor(options: WalLinkOptions, events: WalLinkEvents) {
    const report = (event: LinkEvent): void => {
      if (event.failure !== undefined) events.failed(fromNative(new Error(event.failure)));
      else if (event.rest !== undefined) events.returned(event.rest);
      else if (event.positions !== undefined) events.progress(event.positions, event.finished);
    };
    this.#native = nativeSync(() => new (loadAddon<LinkAddon>().NativeWalLink)(options, report));
  }

  /** How far it is at this moment. */
  get positions(): LinkPositions {
    return this.#native.positions();
  }

  /** Counts the reads so far: a number that does not move means a server that is silent. */
  get reads(): number {
    return this.#native.reads();
  }

  /** Tells the server the positions now. @param reply asks it to answer */
  sendStatus(reply: boolean): void {
    this.#native.sendStatus(reply);
  }

  /** Speaks to the server when a sync of over a second keeps the thread from doing so; to be called regularly. */
  relieve(): void {
    this.#native.relieve();
  }

  /** Makes durable what was received, tells the server and ends; gives the last durable position. @throws what it failed with */
  close(): Promise<bigint> {
    return native(() => this.#native.close());
  }
}
