import { PgmonetaError } from '../errors/index.js';
import type { CopyTarget } from './frames.js';

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const XLOG_HEADER = 25;
const KEEPALIVE_SIZE = 18;
/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's times begin. */
const EPOCH = 946_684_800_000_000n;

/** What a walsender says beside the WAL itself. */
export interface WalHeader {
  /** First byte of the WAL that follows. */
  readonly start: bigint;
  /** End of the WAL that the server has. */
  readonly serverEnd: bigint;
}

/** Takes what a walsender sends. */
export interface WalSink {
  /** The server has begun to stream. */
  started(): void;
  /** A message with WAL begins. What it throws ends the connection. */
  begin(header: WalHeader): void;
  /** WAL that follows what came before; valid during the call only. @returns false to have the reading stopped */
  data(piece: Buffer): boolean;
  /** The server tells how far it is. @param reply whether it wants a status update at once */
  keepalive(serverEnd: bigint, reply: boolean): void;
  /** Settles when data may flow again. */
  drained(): Promise<void>;
}

/** Takes the stream of START_REPLICATION apart; messages may be torn anywhere. Does no I/O. */
export class WalStreamReader implements CopyTarget {
  readonly #sink: WalSink;
  readonly #header = Buffer.alloc(XLOG_HEADER);
  #collected = 0;
  #expected = 0;

  constructor(sink: WalSink) {
    this.#sink = sink;
  }

  drained(): Promise<void> {
    return this.#sink.drained();
  }

  data(piece: Buffer, first: boolean, left: number): boolean {
    let body = piece;
    if (first) {
      this.#collected = 0;
      this.#expected = headerSize(piece[0], piece.length + left);
    }
    if (this.#collected < this.#expected) {
      const used = piece.copy(this.#header, this.#collected, 0, this.#expected - this.#collected);
      this.#collected += used;
      if (this.#collected < this.#expected) return true;
      this.#headerComplete();
      body = piece.subarray(used);
    }
    return body.length === 0 || this.#header[0] !== XLOG_DATA || this.#expected === 0 || this.#sink.data(body);
  }

  #headerComplete(): void {
    const header = this.#header;
    if (header[0] === XLOG_DATA) {
      this.#sink.begin({ start: header.readBigUInt64BE(1), serverEnd: header.readBigUInt64BE(9) });
    } else if (header[0] === KEEPALIVE) this.#sink.keepalive(header.readBigUInt64BE(1), header[17] === 1);
  }
}

/** Bytes before the payload of a message; 0 for a kind that is not known, which newer servers may send. */
function headerSize(kind: number | undefined, size: number): number {
  if (kind === XLOG_DATA && size >= XLOG_HEADER) return XLOG_HEADER;
  if (kind === KEEPALIVE && size === KEEPALIVE_SIZE) return KEEPALIVE_SIZE;
  if (kind === XLOG_DATA || kind === KEEPALIVE) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `the server sent a message of ${size} bytes in the WAL stream`, {
      hint: 'check that host and port name PostgreSQL itself and that nothing in between changes the data',
    });
  }
  return 0;
}

/** How far a standby is; positions are the byte after the last one. */
export interface StandbyStatus {
  readonly written: bigint;
  readonly flushed: bigint;
  /** 0: nothing is applied here. */
  readonly applied: bigint;
  /** Whether the server is to answer at once. */
  readonly reply: boolean;
}

/** A status update as a whole CopyData message (protocol: Standby status update). @param now milliseconds since 1970 */
export function statusUpdate(status: StandbyStatus, now: number): Buffer {
  const message = Buffer.alloc(39);
  message[0] = 0x64;
  message.writeUInt32BE(38, 1);
  message[5] = 0x72;
  message.writeBigUInt64BE(status.written, 6);
  message.writeBigUInt64BE(status.flushed, 14);
  message.writeBigUInt64BE(status.applied, 22);
  message.writeBigInt64BE(BigInt(Math.round(now)) * 1000n - EPOCH, 30);
  message[38] = status.reply ? 1 : 0;
  return message;
}
