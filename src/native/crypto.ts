import type { ReplacedFile } from './codec.js';
import { native, nativeSync } from './errors.js';
import { loadAddon } from './load.js';

/** AES-GCM, the form of files, vault entries and messages since 0.21. */
export type GcmMode = 'aes-256-gcm' | 'aes-192-gcm' | 'aes-128-gcm';

/** Every cipher for files. CBC and CTR are authenticated too, in an envelope of our own. */
export type CipherMode =
  | GcmMode
  | 'aes-256-cbc'
  | 'aes-192-cbc'
  | 'aes-128-cbc'
  | 'aes-256-ctr'
  | 'aes-192-ctr'
  | 'aes-128-ctr';

interface CryptoAddon {
  deriveMasterSecret(password: Buffer, salt: Buffer): Promise<Buffer>;
  sealBlob(mode: string, masterSecret: Buffer, plain: Buffer): Buffer;
  openBlob(mode: string, masterSecret: Buffer, sealed: Buffer): Buffer;
  openLegacyBlob(password: Buffer, sealed: Buffer): Buffer;
  encryptFile(source: string, mode: string, masterSecret: Buffer): Promise<ReplacedFile>;
  decryptFile(source: string, masterSecret: Buffer, mode?: string): Promise<ReplacedFile>;
}

const addon = () => loadAddon<CryptoAddon>();

/**
 * PBKDF2-HMAC-SHA256 of the master password, 600 000 rounds, on a thread (about half a second).
 * @param salt the 16 bytes of the second line of `master.key`
 * @returns the 64 bytes that all keys are made of; wipe them (`fill(0)`) when done
 */
export function deriveMasterSecret(password: Buffer, salt: Buffer): Promise<Buffer> {
  return native(() => addon().deriveMasterSecret(password, salt));
}

/**
 * Seals bytes in memory, at once: salt (16), IV (12), ciphertext, tag (16), salt and IV fresh.
 * @throws PgmonetaError USAGE when the secret has not 64 bytes
 */
export function sealBlob(mode: GcmMode, masterSecret: Buffer, plain: Buffer): Buffer {
  return nativeSync(() => addon().sealBlob(mode, masterSecret, plain));
}

/**
 * Opens what `sealBlob`, or pgmoneta 0.21, sealed.
 * @throws PgmonetaError CORRUPT unless all of it is authentic with this secret and mode
 */
export function openBlob(mode: GcmMode, masterSecret: Buffer, sealed: Buffer): Buffer {
  return nativeSync(() => addon().openBlob(mode, masterSecret, sealed));
}

/**
 * Opens a vault entry of 0.20 or before (AES-256-CBC, not authenticated).
 * @param password the master password itself
 * @throws PgmonetaError CORRUPT when its size or padding is wrong
 */
export function openLegacyBlob(password: Buffer, sealed: Buffer): Buffer {
  return nativeSync(() => addon().openLegacyBlob(password, sealed));
}

/**
 * Replaces a file by itself encrypted, `source` plus `.aes`, mode 0600. The new file is read back, compared and durable
 * before `source` is removed; after an error `source` is still there.
 * @throws PgmonetaError USAGE when `source` is no regular file, the new name is taken, or GCM cannot seal so much
 * (64 GiB less 32 bytes); IO, NO_SPACE, CORRUPT
 */
export function encryptFile(
  source: string,
  options: { readonly mode: CipherMode; readonly masterSecret: Buffer },
): Promise<ReplacedFile> {
  return native(() => addon().encryptFile(source, options.mode, options.masterSecret));
}

/**
 * Replaces a file by itself decrypted, under its name without `.aes`.
 * @param options.mode the mode if it is known; otherwise it is found out by trial, which reads the file once more
 * @throws PgmonetaError USAGE when the name does not end in `.aes`, `source` is no regular file or the new name is
 * taken; CORRUPT when the content is not authentic; IO, NO_SPACE
 */
export function decryptFile(
  source: string,
  options: { readonly masterSecret: Buffer; readonly mode?: CipherMode | undefined },
): Promise<ReplacedFile> {
  return native(() => addon().decryptFile(source, options.masterSecret, options.mode));
}
