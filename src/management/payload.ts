import { PgmonetaError } from '../errors/index.js';
import type { CompressionCode } from '../native/codec.js';
import type { GcmMode } from '../native/crypto.js';
import { knownCodes, WIRE_ENCRYPTIONS, type WireCodes } from './codes.js';
import { type Frame, MAX_REPLY } from './frame.js';

/** Gives the 64-byte master secret (derived from master.key) when a frame is to be sealed or opened. */
export type SecretSource = () => Promise<Buffer>;

const ZSTD = 2;
const BZIP2 = 4;
/** pgmoneta (C) allots this many times the compressed size when it unpacks bzip2, and fails above. */
const BZIP2_PEER_RATIO = 20;

/**
 * Packs a document: compress, seal, Base64; the bare text when both codes are 0.
 * @returns the frame; its codes differ from `codes` only where the peer could not read what was asked for
 *   (a bzip2 payload that unpacks to more than 20 times its size goes as zstd)
 */
export async function packPayload(text: string, codes: WireCodes, secret?: SecretSource): Promise<Frame> {
  let bytes: Buffer = Buffer.from(text, 'utf8');
  if (codes.compression === 0 && codes.encryption === 0) return { codes, payload: bytes };
  let { compression } = codes;
  if (compression !== 0) {
    const { compressPayload } = await import('../native/codec.js');
    const plain = bytes;
    bytes = await compressPayload(compression as CompressionCode, plain, MAX_REPLY);
    if (compression === BZIP2 && bytes.length * BZIP2_PEER_RATIO < plain.length) {
      compression = ZSTD;
      bytes = await compressPayload(ZSTD, plain, MAX_REPLY);
    }
  }
  if (codes.encryption !== 0) {
    const { sealBlob } = await import('../native/crypto.js');
    bytes = sealBlob(modeOf(codes.encryption), await secretOf(secret), bytes);
  }
  return {
    codes: { compression, encryption: codes.encryption },
    payload: Buffer.from(bytes.toString('base64'), 'latin1'),
  };
}

/**
 * Unpacks a payload into its text.
 * @param maxSize the most bytes the text may have; what would unpack to more is refused while it is unpacked
 * @throws PgmonetaError FRAME_INVALID when the payload is damaged, too large, or sealed with another master key
 */
export async function unpackPayload(frame: Frame, maxSize: number, secret?: SecretSource): Promise<string> {
  const { codes } = frame;
  if (!knownCodes(codes)) {
    throw new PgmonetaError(
      'FRAME_INVALID',
      `a management frame has compression code ${codes.compression} and encryption code ${codes.encryption}; known are 0 to 4 and 0 to 3`,
    );
  }
  let bytes = frame.payload;
  if (codes.compression !== 0 || codes.encryption !== 0) bytes = fromBase64(bytes);
  if (codes.encryption !== 0) bytes = await open(codes.encryption, bytes, secret);
  if (codes.compression !== 0) {
    const { decompressPayload } = await import('../native/codec.js');
    bytes = await decompressPayload(codes.compression as CompressionCode, bytes, maxSize).catch((error: unknown) => {
      throw damaged('cannot be decompressed', error);
    });
  }
  return bytes.toString('utf8');
}

async function open(mode: number, sealed: Buffer, secret: SecretSource | undefined): Promise<Buffer> {
  const { openBlob } = await import('../native/crypto.js');
  const key = await secretOf(secret);
  try {
    return openBlob(modeOf(mode), key, sealed);
  } catch (error) {
    throw damaged('cannot be decrypted', error, 'the master.key of client and daemon must be the same file');
  }
}

function modeOf(code: number): GcmMode {
  return WIRE_ENCRYPTIONS[code] as GcmMode;
}

function fromBase64(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw damaged('is not Base64');
  return Buffer.from(text, 'base64');
}

function damaged(what: string, cause?: unknown, hint?: string): PgmonetaError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new PgmonetaError('FRAME_INVALID', `a management frame ${what}${reason}`, { cause, hint });
}

async function secretOf(secret: SecretSource | undefined): Promise<Buffer> {
  if (secret === undefined) {
    throw new PgmonetaError(
      'MASTER_KEY_INVALID',
      'an encrypted management frame needs the master key, and there is none',
    );
  }
  return secret();
}
