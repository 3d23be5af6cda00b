import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { preparePassword } from './saslprep.js';

/** What a server keeps of a password: enough to check it, not enough to use it. */
export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Most iterations a client works through: a server that asks for more wants to keep it busy. */
export const MAX_ITERATIONS = 2_000_000;

/** SHA-256. */
export function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

/** HMAC-SHA-256. */
export function hmac(key: Uint8Array, data: Uint8Array | string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

/** SaltedPassword of RFC 5802. */
export function saltedPassword(password: string, salt: Buffer, iterations: number): Buffer {
  return pbkdf2Sync(preparePassword(password), salt, iterations, 32, 'sha256');
}

/** Makes what a server keeps of a password. */
export function scramVerifier(password: string, salt: Buffer, iterations: number): ScramVerifier {
  const salted = saltedPassword(password, salt, iterations);
  return {
    salt,
    iterations,
    storedKey: sha256(hmac(salted, 'Client Key')),
    serverKey: hmac(salted, 'Server Key'),
  };
}

/**
 * A verifier that no password fits, always the same for a user: so that an unknown user looks like a known one.
 * @param secret of the process, at least 16 bytes
 */
export function mockVerifier(secret: Buffer, user: string, iterations: number): ScramVerifier {
  return {
    salt: hmac(secret, `salt ${user}`).subarray(0, 16),
    iterations,
    storedKey: hmac(secret, `stored ${user}`),
    serverKey: hmac(secret, `server ${user}`),
  };
}

/** Exclusive or of two buffers of one length. */
export function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
}

/** Equality in a time that does not depend on where two buffers differ. */
export function equalInConstantTime(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
