import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';

const SALT = 16;
const IV = 12;
const TAG = 16;
/** Bytes that sealing adds: salt, IV, tag. */
export const SEAL_OVERHEAD = SALT + IV + TAG;

function fileKey(masterSecret: Buffer, salt: Buffer): Buffer {
  return pbkdf2Sync(masterSecret, salt, 1, 32, 'sha256');
}

/**
 * Seals a small text with AES-256-GCM: salt(16) IV(12) ciphertext tag(16), no additional data.
 * Source of the format: the sealed blobs of pgmoneta 0.21. Files go through the native core instead.
 * @param given salt and IV, for test vectors only
 */
export function sealSmall(masterSecret: Buffer, plain: Uint8Array, given?: { salt: Buffer; iv: Buffer }): Buffer {
  const salt = given?.salt ?? randomBytes(SALT);
  const iv = given?.iv ?? randomBytes(IV);
  const cipher = createCipheriv('aes-256-gcm', fileKey(masterSecret, salt), iv);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([salt, iv, body, cipher.getAuthTag()]);
}

/** Opens what `sealSmall` sealed; `null` when it is damaged or was sealed with another key. */
export function openSmall(masterSecret: Buffer, sealed: Buffer): Buffer | null {
  if (sealed.length < SEAL_OVERHEAD) return null;
  const key = fileKey(masterSecret, sealed.subarray(0, SALT));
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(SALT, SALT + IV), { authTagLength: TAG });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(SALT + IV, sealed.length - TAG)), decipher.final()]);
  } catch {
    return null;
  }
}
