import { native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';

/** One large file to be written from a stream. */
export interface StoredFileOptions {
  /** It must not exist. */
  readonly path: string;
  readonly codec: 'none' | 'gzip' | 'zstd' | 'lz4' | 'bzip2';
  /** Clamped to what the codec knows. */
  readonly level: number;
  /** A canonical word such as `aes-256-gcm`, and the 64 bytes derived from the master key. */
  readonly cipher?: { readonly mode: string; readonly masterSecret: Buffer };
  /** Threads that compress; at least 1. */
  readonly workers: number;
}

/** A file that is complete, read back and durable. Sizes in bytes. */
export interface StoredFileReport {
  readonly plainSize: number;
  readonly storedSize: number;
  /** SHA-512 of the stored bytes, 128 hexadecimal digits. */
  readonly sha512: string;
}

interface NativeStoredFile {
  push(chunk: Uint8Array): Promise<void>;
  finish(): Promise<StoredFileReport>;
  abort(): Promise<void>;
}

interface StoredAddon {
  NativeStoredFile: new (options: StoredFileOptions) => NativeStoredFile;
}

/** Bytes that are collected before they cross to the native side. */
const PIECE = 1024 * 1024;

/**
 * Writes one file of any length: compressed on several threads, sealed, mode 0600. What was written of it when
 * something fails stays for the caller to remove.
 */
export class StoredFileWriter {
  readonly #native: NativeStoredFile;
  #pieces: Uint8Array[] = [];
  #size = 0;

  /** @throws PgmonetaError USAGE, IO when the file exists or cannot be created */
  constructor(options: StoredFileOptions) {
    const { NativeStoredFile } = loadAddon<StoredAddon>();
    this.#native = nativeSync(() => new NativeStoredFile(options));
  }

  /**
   * Takes the next plain bytes; settles when more may come. The chunk must not be changed afterwards.
   * @throws PgmonetaError IO, NO_SPACE, USAGE when the cipher cannot seal so much
   */
  async push(chunk: Uint8Array): Promise<void> {
    this.#pieces.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= PIECE) await this.#flush();
  }

  /**
   * The stream is complete: makes the file durable, reads it back and compares.
   * @throws PgmonetaError CORRUPT when it does not give back what was written; IO, NO_SPACE
   */
  async finish(): Promise<StoredFileReport> {
    await this.#flush();
    return native(() => this.#native.finish());
  }

  /** Gives the file up. */
  abort(): Promise<void> {
    return native(() => this.#native.abort());
  }

  async #flush(): Promise<void> {
    if (this.#size === 0) return;
    const piece = Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [];
    this.#size = 0;
    await native(() => this.#native.push(piece));
  }
}
