import { fromNative, native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';

/** Where received WAL goes. */
export interface WalWriterOptions {
  /** `<server>/wal`; has to exist. */
  readonly directory: string;
  readonly timeline: number;
  /** Bytes of a segment. */
  readonly segmentSize: number;
  /** Bytes of a WAL page of the server. */
  readonly pageSize: number;
  /** First byte that will be pushed: the start of a segment. */
  readonly start: bigint;
  /** Bytes that may wait before the sender is asked to pause. */
  readonly budget: number;
}

/** What a writer tells, from its own thread. Nothing is told after `failed`. */
export interface WalWriterEvents {
  /** Everything before `durable` survives a power failure. `finished` are the names of segments completed meanwhile. */
  durable(written: bigint, durable: bigint, finished: readonly string[]): void;
  /** The sender may go on. */
  drained(): void;
  /** The writer is of no further use: IO, NO_SPACE, CORRUPT, POSTGRES_PROTOCOL. */
  failed(error: Error): void;
}

interface WalEvent {
  written?: bigint;
  durable?: bigint;
  finished: string[];
  drained: boolean;
  failure?: string;
}

interface NativeWalWriter {
  push(bytes: Uint8Array): boolean;
  close(): Promise<bigint>;
  abandon(): Promise<void>;
}

/** How a finished segment is kept. */
export interface StoreOptions {
  readonly codec: string;
  readonly level: number;
  /** For example `aes-256-gcm`; absent leaves it in clear. */
  readonly cipher?: string;
  readonly masterSecret?: Buffer;
}

/** A segment in its kept form; sizes in bytes. */
export interface StoredForm {
  readonly path: string;
  readonly plainSize: number;
  readonly storedSize: number;
}

interface WalAddon {
  NativeWalWriter: new (options: WalWriterOptions, report: (event: WalEvent) => void) => NativeWalWriter;
  storeWalSegment(plain: string, options: StoreOptions): Promise<StoredForm>;
}

/**
 * Writes contiguous WAL of one timeline into segment files, on a thread of its own: durable as soon as nothing waits,
 * a segment named when it is whole and durable.
 */
export class WalWriter {
  readonly #native: NativeWalWriter;

  /** @throws PgmonetaError USAGE, IO */
  constructor(options: WalWriterOptions, events: WalWriterEvents) {
    const report = (event: WalEvent): void => {
      if (event.failure !== undefined) events.failed(fromNative(new Error(event.failure)));
      else if (event.drained) events.drained();
      else if (event.durable !== undefined)
        events.durable(event.written ?? event.durable, event.durable, event.finished);
    };
    this.#native = nativeSync(() => new (loadAddon<WalAddon>().NativeWalWriter)(options, report));
  }

  /**
   * Takes the bytes that follow; they may be reused afterwards.
   * @returns false to be waited for until `drained`
   */
  push(bytes: Uint8Array): boolean {
    return this.#native.push(bytes);
  }

  /** Writes and syncs what waits and ends; gives the last durable position. @throws what the writer failed with */
  close(): Promise<bigint> {
    return native(() => this.#native.close());
  }

  /** Ends without writing what waits. */
  abandon(): Promise<void> {
    return native(() => this.#native.abandon());
  }
}

/**
 * Replaces a plain segment by its kept form: compressed and sealed into a new file, synced, read back and compared;
 * only then does the plain one go.
 * @throws PgmonetaError IO, NO_SPACE, CORRUPT; the plain segment is there then
 */
export function storeWalSegment(plain: string, options: StoreOptions): Promise<StoredForm> {
  return native(() => loadAddon<WalAddon>().storeWalSegment(plain, options));
}
