import { native } from './errors.js';
import { loadAddon } from './load.js';

/** The codecs of stored files. */
export type CodecName = 'gzip' | 'zstd' | 'lz4' | 'bzip2';

/** The compression byte of the management link: 0 none, 1 gzip, 2 zstd, 3 lz4, 4 bzip2. */
export type CompressionCode = 0 | 1 | 2 | 3 | 4;

/** What took the place of a file. */
export interface ReplacedFile {
  /** Path of the new file. */
  readonly destination: string;
  /** Size in bytes of the file that is gone. */
  readonly sourceSize: number;
  /** Size in bytes of the new file. */
  readonly destinationSize: number;
}

interface CodecAddon {
  compressFile(source: string, codec: string, level: number): Promise<ReplacedFile>;
  decompressFile(source: string): Promise<ReplacedFile>;
  compressPayload(code: number, plain: Buffer, limit: number): Promise<Buffer>;
  decompressPayload(code: number, packed: Buffer, limit: number): Promise<Buffer>;
}

const addon = () => loadAddon<CodecAddon>();

/**
 * Replaces a file by itself compressed: `source` plus `.gz`, `.zstd`, `.lz4` or `.bz2`, mode 0600. The new file is read
 * back, compared and durable before `source` is removed; after an error `source` is still there.
 * @param options.level clamped to what the codec knows (gzip and bzip2 1..9, lz4 1..12, zstd up to 22)
 * @throws PgmonetaError USAGE when `source` is no regular file or the new name is taken, IO, NO_SPACE, CORRUPT
 */
export function compressFile(
  source: string,
  options: { readonly codec: CodecName; readonly level: number },
): Promise<ReplacedFile> {
  return native(() => addon().compressFile(source, options.codec, options.level));
}

/**
 * Replaces a file by itself decompressed; the codec is told by the suffix and checked against the content.
 * @throws PgmonetaError USAGE when the suffix is unknown, `source` is no regular file or the new name is taken; CORRUPT
 * when the content is damaged, cut or of another codec; IO, NO_SPACE
 */
export function decompressFile(source: string): Promise<ReplacedFile> {
  return native(() => addon().decompressFile(source));
}

/**
 * Compresses a message of the management link.
 * @param limit largest allowed result in bytes
 * @throws PgmonetaError USAGE when the result is larger
 */
export function compressPayload(code: CompressionCode, plain: Buffer, limit: number): Promise<Buffer> {
  return native(() => addon().compressPayload(code, plain, limit));
}

/**
 * Decompresses a message of the management link.
 * @param maxSize largest accepted plain size in bytes; what claims or has more is refused without taking the memory
 * @throws PgmonetaError CORRUPT when it is damaged, cut or too large
 */
export function decompressPayload(code: CompressionCode, packed: Buffer, maxSize: number): Promise<Buffer> {
  return native(() => addon().decompressPayload(code, packed, maxSize));
}
