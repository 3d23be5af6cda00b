import { PgmonetaError } from '../errors/index.js';

/** Takes the payload of CopyData messages, piece by piece, without copying. */
export interface CopyTarget {
  /**
   * A piece of a CopyData payload. It is a view of the read buffer: valid during the call only.
   * @param first whether a message begins with this piece
   * @param left bytes of the message that follow in later pieces
   * @returns false to have the reading stopped until `drained` (what was read already still comes)
   */
  data(piece: Buffer, first: boolean, left: number): boolean;
  /** Settles when data may flow again; a rejection ends the connection. */
  drained(): Promise<void>;
}

const HEADER = 5;
const COPY_DATA = 0x64;

/** Bytes that one message may have when it is not CopyData: a row of facts, an error, a timeline history. */
export const MESSAGE_LIMIT = 64 * 1024 * 1024;

/**
 * Cuts the byte stream of a server into messages. CopyData goes to the copy target in pieces as they were read;
 * every other message is collected and handed on whole (kind byte, length, body). Does no I/O.
 */
export class FrameSplitter {
  /** Where CopyData goes; without one it is handed on like any message. */
  copy: CopyTarget | null = null;

  readonly #onMessage: (packet: Buffer) => void;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  #message: Buffer | null = null;
  #messageBytes = 0;
  #copyLeft = 0;
  #copyFirst = false;
  #stopped = false;
  #detached = false;

  /** @param onMessage gets each message that is not CopyData for the copy target; the buffer is its own */
  constructor(onMessage: (packet: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  /** Ignores everything that still comes, also the rest of the chunk that is being cut. */
  stop(): void {
    this.#stopped = true;
  }

  /** Cuts nothing more after the message that is being handed on, until `attach`: the rest is for somebody else. */
  detach(): void {
    this.#detached = true;
  }

  /** Cuts again; the next bytes begin a message. */
  attach(): void {
    this.#detached = false;
  }

  /** Whether bytes are for somebody else. */
  get detached(): boolean {
    return this.#detached;
  }

  /** The bytes of the last chunk that were not cut; a view. */
  rest: Buffer = Buffer.alloc(0);

  /**
   * Cuts one chunk as it was read from the socket.
   * @returns false when the copy target asked to stop reading
   * @throws PgmonetaError POSTGRES_PROTOCOL for a length that no message can have
   */
  push(chunk: Buffer): boolean {
    let keep = true;
    let at = 0;
    while (at < chunk.length && !this.#stopped && !this.#detached) {
      if (this.#copyLeft > 0) {
        const end = Math.min(chunk.length, at + this.#copyLeft);
        if (!this.#give(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end))) keep = false;
        at = end;
      } else if (this.#message !== null) {
        at += this.#collect(chunk, at);
      } else {
        at += this.#begin(chunk, at);
      }
    }
    if (this.#detached) this.rest = chunk.subarray(at);
    return keep;
  }

  #give(piece: Buffer): boolean {
    const first = this.#copyFirst;
    this.#copyFirst = false;
    this.#copyLeft -= piece.length;
    return this.copy === null || this.copy.data(piece, first, this.#copyLeft);
  }

  /** Reads a header, which may be torn. Returns the bytes used. */
  #begin(chunk: Buffer, at: number): number {
    let kind: number;
    let length: number;
    let used: number;
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER) {
      kind = chunk[at] as number;
      length = chunk.readUInt32BE(at + 1);
      used = HEADER;
    } else {
      used = chunk.copy(this.#header, this.#headerBytes, at, at + HEADER - this.#headerBytes);
      this.#headerBytes += used;
      if (this.#headerBytes < HEADER) return used;
      this.#headerBytes = 0;
      kind = this.#header[0] as number;
      length = this.#header.readUInt32BE(1);
    }
    if (kind === COPY_DATA && this.copy !== null && length >= 4) {
      this.#copyLeft = length - 4;
      this.#copyFirst = true;
    } else {
      this.#open(kind, length);
    }
    return used;
  }

  #open(kind: number, length: number): void {
    if (length < 4 || length > MESSAGE_LIMIT) {
      throw new PgmonetaError(
        'POSTGRES_PROTOCOL',
        `the server sent a message of kind 0x${kind.toString(16)} with the impossible length ${length}`,
        { hint: 'check that host and port name a PostgreSQL server and that nothing in between changes the data' },
      );
    }
    this.#message = Buffer.allocUnsafe(length + 1);
    this.#message[0] = kind;
    this.#message.writeUInt32BE(length, 1);
    this.#messageBytes = HEADER;
    this.#finish();
  }

  #collect(chunk: Buffer, at: number): number {
    const message = this.#message as Buffer;
    const used = chunk.copy(message, this.#messageBytes, at, at + message.length - this.#messageBytes);
    this.#messageBytes += used;
    this.#finish();
    return used;
  }

  #finish(): void {
    const message = this.#message;
    if (message === null || this.#messageBytes < message.length) return;
    this.#message = null;
    this.#onMessage(message);
  }
}
