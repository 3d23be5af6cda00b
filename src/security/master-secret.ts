import { createHash, pbkdf2, pbkdf2Sync } from 'node:crypto';
import { promisify } from 'node:util';
import { PgmonetaError } from '../errors/index.js';
import type { MasterKey } from './master-key.js';

const ITERATIONS = 600_000;
/** Bytes of the master secret: two blocks of PBKDF2-HMAC-SHA256. */
export const MASTER_SECRET_BYTES = 64;

const derivePbkdf2 = promisify(pbkdf2);
const cache = new Map<string, Buffer>();

// Both parts go into the key: two masters with one password and different salts have different secrets.
function cacheKey(key: MasterKey): string {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(key.password.length);
  return createHash('sha256').update(length).update(key.password).update(key.salt).digest('hex');
}

/**
 * The 64 bytes that file keys are derived from: PBKDF2-HMAC-SHA256 of password and salt, 600000 iterations.
 * Takes about a second of a processor the first time, then comes from the memory of the process.
 * Blocks the event loop; a daemon uses `deriveMasterSecretAsync`.
 */
export function deriveMasterSecret(key: MasterKey): Buffer {
  const name = cacheKey(key);
  let secret = cache.get(name);
  if (secret === undefined) {
    secret = pbkdf2Sync(key.password, key.salt, ITERATIONS, MASTER_SECRET_BYTES, 'sha256');
    cache.set(name, secret);
  }
  return secret;
}

async function derive(key: MasterKey): Promise<Buffer> {
  try {
    // The native core needs about two thirds of the time.
    const { deriveMasterSecret: deriveNatively } = await import('../native/crypto.js');
    return await deriveNatively(key.password, key.salt);
  } catch (error) {
    // Where it is not installed, users files can still be edited.
    if (!(error instanceof PgmonetaError) || error.code !== 'NATIVE') throw error;
    return derivePbkdf2(key.password, key.salt, ITERATIONS, MASTER_SECRET_BYTES, 'sha256');
  }
}

/** The same on a thread of its own. */
export async function deriveMasterSecretAsync(key: MasterKey): Promise<Buffer> {
  const name = cacheKey(key);
  const known = cache.get(name);
  if (known !== undefined) return known;
  const secret = await derive(key);
  cache.set(name, secret);
  return secret;
}

/** Wipes the derived secrets of this process: for the end of a job. Buffers handed out before are wiped too. */
export function forgetMasterSecrets(): void {
  for (const secret of cache.values()) secret.fill(0);
  cache.clear();
}
