import { WIRE_COMPRESSIONS } from '../../../management/codes.js';

const CIPHERS: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'aes-256-gcm',
  2: 'aes-192-gcm',
  3: 'aes-128-gcm',
  17: 'aes-256-cbc',
  18: 'aes-192-cbc',
  19: 'aes-128-cbc',
  33: 'aes-256-ctr',
  34: 'aes-192-ctr',
  35: 'aes-128-ctr',
};

/**
 * The codec of a backup by its number: the low four bits name it, the others say whether the client (0x10) or the
 * server (0x20) compressed. Numbers 5 to 7 are those of 0.20 for server-side compression.
 */
export function backupCompression(code: number): string {
  if (code >= 5 && code <= 7) return WIRE_COMPRESSIONS[code - 4] as string;
  return WIRE_COMPRESSIONS[code & 0x0f] ?? 'unknown';
}

/** The cipher of a backup by its number. */
export function backupEncryption(code: number): string {
  return CIPHERS[code] ?? 'unknown';
}
