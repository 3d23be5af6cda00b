import { randomInt } from 'node:crypto';
import { PgmonetaError } from '../errors/index.js';

/** Characters of generated passwords, as in pgmoneta 0.21: nothing that starts a comment, no blank. */
export const PASSWORD_ALPHABET =
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!@$%^&*()-_=+[{]}\\|:\'",<.>/?';

/** Largest password in bytes of UTF-8. */
export const MAX_PASSWORD_BYTES = 8191;
/** Shortest master key, in characters. */
export const MIN_MASTER_KEY_CHARACTERS = 8;
/** Length of generated passwords unless told otherwise, in characters. */
export const DEFAULT_GENERATED_LENGTH = 64;
/** Longest generated password, in characters. */
export const MAX_GENERATED_LENGTH = 1024;

/**
 * Makes a random password without bias.
 * @param length 1 to 1024 characters
 * @throws PgmonetaError ADMIN_REFUSED for other lengths
 */
export function generatePassword(length: number = DEFAULT_GENERATED_LENGTH): string {
  if (!Number.isInteger(length) || length < 1 || length > MAX_GENERATED_LENGTH) {
    throw new PgmonetaError('ADMIN_REFUSED', `Invalid password length: ${length}`, {
      hint: `use a length from 1 to ${MAX_GENERATED_LENGTH}`,
    });
  }
  let password = '';
  for (let index = 0; index < length; index++) password += PASSWORD_ALPHABET[randomInt(PASSWORD_ALPHABET.length)];
  return password;
}

function isWellFormed(password: string): boolean {
  return !/[\ud800-\udfff]/u.test(password);
}

/** Checks the text of a user's password. @throws PgmonetaError ADMIN_REFUSED */
export function checkUserPassword(password: string): void {
  const refuse = (why: string, hint: string) => new PgmonetaError('ADMIN_REFUSED', `the password ${why}`, { hint });
  if (!isWellFormed(password) || password.includes('\ufffd')) throw refuse('is not valid UTF-8', 'type it again');
  if (password.includes('\0')) throw refuse('has a NUL character', 'PostgreSQL takes no such password; choose another');
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    throw refuse(`is longer than ${MAX_PASSWORD_BYTES} bytes`, 'choose a shorter one');
  }
}

/** Checks the text of a master key: valid UTF-8, 8 characters to 8191 bytes. @throws PgmonetaError ADMIN_REFUSED */
export function checkMasterPassword(password: string): void {
  const refuse = (why: string, hint: string) => new PgmonetaError('ADMIN_REFUSED', `the master key ${why}`, { hint });
  if (!isWellFormed(password) || password.includes('\ufffd')) throw refuse('is not valid UTF-8', 'type it again');
  if ([...password].length < MIN_MASTER_KEY_CHARACTERS) {
    throw refuse(`is shorter than ${MIN_MASTER_KEY_CHARACTERS} characters`, 'choose a longer one, or use -g');
  }
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    throw refuse(`is longer than ${MAX_PASSWORD_BYTES} bytes`, 'choose a shorter one');
  }
}
