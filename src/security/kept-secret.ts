import { createHash, timingSafeEqual } from 'node:crypto';
import { constants, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeBeside } from '../config/files/durable.js';
import { MASTER_SECRET_BYTES } from './master-secret.js';

/**
 * The derived secret, kept beside the master key for a program that is started anew for every segment of a recovery:
 * deriving it takes far longer than the segment. It is as closed as `master.key`, in the same directory, and gives away
 * nothing that `master.key` does not. It opens, and never seals: nobody writes with a secret that a damaged file gave.
 *
 * Format: 8 bytes of magic, 32 bytes SHA-256 of what identifies `master.key` (its size, inode, time of change, and the
 * salt), 64 bytes of secret, 32 bytes SHA-256 of all that.
 */
const NAME = 'master.secret';
const MAGIC = Buffer.from('PGMSEC1\n');
const DIGEST = 32;
const SIZE = MAGIC.length + DIGEST + MASTER_SECRET_BYTES + DIGEST;
const OTHERS = 0o077;

/** @param keyPath of the `master.key` that it belongs to */
function pathOf(keyPath: string): string {
  return join(dirname(keyPath), NAME);
}

/** What changes whenever the master key does. The password is no part of it: this must not help to guess it. */
async function bindingOf(keyPath: string, salt: Buffer): Promise<Buffer> {
  const handle = await open(keyPath, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size, ino, mtimeNs } = await handle.stat({ bigint: true });
    return createHash('sha256').update(`${size}:${ino}:${mtimeNs}:`).update(salt).digest();
  } finally {
    await handle.close();
  }
}

/**
 * The kept secret; undefined when there is none, it belongs to another master key, is damaged, or is not closed to
 * everybody else.
 */
export async function readKeptSecret(keyPath: string, salt: Buffer): Promise<Buffer | undefined> {
  try {
    const binding = await bindingOf(keyPath, salt);
    const handle = await open(pathOf(keyPath), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      const status = await handle.stat();
      const ours = status.isFile() && (status.mode & OTHERS) === 0 && status.uid === process.getuid?.();
      if (!ours || status.size !== SIZE) return undefined;
      return secretIn(await handle.readFile(), binding);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined; // it is derived instead
  }
}

function secretIn(content: Buffer, binding: Buffer): Buffer | undefined {
  const body = content.subarray(0, SIZE - DIGEST);
  const digest = createHash('sha256').update(body).digest();
  if (content.length !== SIZE || !timingSafeEqual(digest, content.subarray(SIZE - DIGEST))) return undefined;
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (!body.subarray(MAGIC.length, MAGIC.length + DIGEST).equals(binding)) return undefined;
  return Buffer.from(body.subarray(MAGIC.length + DIGEST));
}

/** Keeps a secret, mode 0600; where that cannot be, it is derived again the next time. */
export async function keepSecret(keyPath: string, salt: Buffer, secret: Buffer): Promise<void> {
  const path = pathOf(keyPath);
  try {
    const body = Buffer.concat([MAGIC, await bindingOf(keyPath, salt), secret]);
    const digest = createHash('sha256').update(body).digest();
    const made = await writeBeside(path, Buffer.concat([body, digest]), { mode: 0o600 });
    await rename(made, path).catch(async (error) => {
      await rm(made, { force: true });
      throw error;
    });
  } catch {
    // A home that cannot be written to is no reason to fail.
  }
}

/** Forgets a kept secret. */
export async function forgetKeptSecret(keyPath: string): Promise<void> {
  await rm(pathOf(keyPath), { force: true }).catch(() => {});
}
