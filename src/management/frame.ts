import { PgmonetaError } from '../errors/index.js';
import type { WireCodes } from './codes.js';

/** Bytes before the payload: compression code, encryption code, length (big-endian uint32). */
export const HEADER_BYTES = 6;

/** The largest request that the daemon reads, in bytes of payload. */
export const MAX_REQUEST = 1024 * 1024;

/** The largest reply that the client reads, in bytes of payload, and of text after decompression. */
export const MAX_REPLY = 256 * 1024 * 1024;

/** One frame as it stood on the wire: the payload is still compressed, encrypted and in Base64. */
export interface Frame {
  readonly codes: WireCodes;
  readonly payload: Buffer;
}

/** Puts the header before a payload. One buffer, so that it leaves in one write. */
export function writeFrame(frame: Frame): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + frame.payload.length);
  buffer.writeUInt8(frame.codes.compression, 0);
  buffer.writeUInt8(frame.codes.encryption, 1);
  buffer.writeUInt32BE(frame.payload.length, 2);
  frame.payload.copy(buffer, HEADER_BYTES);
  return buffer;
}

/**
 * Cuts a byte stream into frames, however the bytes arrive. Memory is bounded by `limit` plus one chunk: a frame that
 * announces more is refused when its header is read, before anything is kept.
 */
export class FrameReader {
  private chunks: Buffer[] = [];
  private buffered = 0;
  private header: { readonly codes: WireCodes; readonly length: number } | undefined;

  /** @param limit largest payload accepted, in bytes */
  constructor(private readonly limit: number) {}

  /** Adds bytes from the stream. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.chunks.push(chunk);
    this.buffered += chunk.length;
  }

  /** Whether a header has been read whose payload is not complete yet. */
  get inBody(): boolean {
    return this.header !== undefined;
  }

  /** Codes of the frame that is being read, once its header is there. */
  get currentCodes(): WireCodes | undefined {
    return this.header?.codes;
  }

  /** Bytes held that belong to no complete frame yet. */
  get pending(): number {
    return this.buffered + (this.header === undefined ? 0 : HEADER_BYTES);
  }

  /**
   * The next complete frame, or undefined when more bytes are needed.
   * @throws PgmonetaError FRAME_INVALID for a length of zero or above the limit
   */
  next(): Frame | undefined {
    if (this.header === undefined) {
      if (this.buffered < HEADER_BYTES) return undefined;
      const bytes = this.take(HEADER_BYTES);
      const codes = { compression: bytes.readUInt8(0), encryption: bytes.readUInt8(1) };
      this.header = { codes, length: bytes.readUInt32BE(2) };
    }
    const { codes, length } = this.header;
    if (length === 0 || length > this.limit) {
      throw new PgmonetaError(
        'FRAME_INVALID',
        `a management frame announces ${length} bytes of payload; allowed are 1 to ${this.limit}`,
        { hint: 'check that the peer is a pgmoneta program' },
      );
    }
    if (this.buffered < length) return undefined;
    this.header = undefined;
    return { codes, payload: this.take(length) };
  }

  private take(count: number): Buffer {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks, this.buffered)];
    const whole = this.chunks[0] as Buffer;
    const rest = whole.subarray(count);
    this.chunks = rest.length === 0 ? [] : [rest];
    this.buffered -= count;
    return whole.subarray(0, count);
  }
}
