import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, link, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory, writeBeside } from '../config/files/durable.js';
import { PgmonetaError } from '../errors/index.js';
import { decodeBase64 } from './base64.js';
import { checkMasterPassword, MAX_PASSWORD_BYTES } from './password.js';

/** The secret that everything else is derived from. */
export interface MasterKey {
  /** 1 to 8191 bytes. */
  readonly password: Buffer;
  /** 16 bytes. */
  readonly salt: Buffer;
}

/** Bytes of the salt in `master.key`. */
export const MASTER_SALT_BYTES = 16;
const OTHERS = 0o077;
const FILE_LIMIT = 64 * 1024;

function home(given: string | undefined): string {
  const directory = given ?? process.env.HOME;
  if (!directory) {
    throw new PgmonetaError('MASTER_KEY_INVALID', 'the master key cannot be found: HOME is not set', {
      hint: 'set HOME to the home directory of the user that runs pgmoneta',
    });
  }
  return directory;
}

/** Where the master key of a home directory is. */
export function masterKeyPath(homeDirectory?: string): string {
  return join(home(homeDirectory), '.pgmoneta', 'master.key');
}

function invalid(path: string, why: string, hint?: string, cause?: unknown): PgmonetaError {
  return new PgmonetaError('MASTER_KEY_INVALID', `the master key ${path} ${why}`, { hint, cause, context: { path } });
}

/**
 * Reads the text of a `master.key`: base64 of the password, then base64 of 16 bytes of salt, each on its line.
 * @returns what is wrong, as the end of a sentence, or the key
 */
export function parseMasterKey(text: string): MasterKey | string {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  if (lines.at(-1) === '') lines.pop();
  const [first = '', second] = lines;
  const password = decodeBase64(first);
  if (password === null || password.length === 0) return 'has no base64 password on its first line';
  if (password.length > MAX_PASSWORD_BYTES) return `has a password of more than ${MAX_PASSWORD_BYTES} bytes`;
  if (second === undefined) return 'has no second line: it was written before pgmoneta 0.21, which added the salt';
  const salt = decodeBase64(second);
  if (salt === null || salt.length !== MASTER_SALT_BYTES) return 'has no 16 bytes of base64 salt on its second line';
  if (lines.length > 2) return 'has more than two lines';
  return { password, salt };
}

/** The text of a `master.key`. */
export function formatMasterKey(key: MasterKey): string {
  return `${key.password.toString('base64')}\n${key.salt.toString('base64')}\n`;
}

async function checkDirectory(directory: string): Promise<void> {
  const status = await stat(directory);
  if (!status.isDirectory()) throw invalid(directory, 'is not a directory', 'move it away; it must be a directory');
  if ((status.mode & OTHERS) !== 0) {
    throw new PgmonetaError(
      'MASTER_KEY_INVALID',
      `the directory ${directory} can be used by others (mode ${(status.mode & 0o777).toString(8)}); it must be 0700`,
      { hint: `run: chmod 700 ${directory}`, context: { path: directory } },
    );
  }
}

async function readSecretFile(handle: FileHandle, path: string): Promise<string> {
  const status = await handle.stat();
  if (!status.isFile()) throw invalid(path, 'is not a regular file', 'move it away and restore the right one');
  if ((status.mode & OTHERS) !== 0) {
    throw invalid(
      path,
      `can be used by others (mode ${(status.mode & 0o777).toString(8)}); it must be 0600`,
      `run: chmod 600 ${path}`,
    );
  }
  if (status.size > FILE_LIMIT) throw invalid(path, `is larger than ${FILE_LIMIT} bytes`, 'restore the right file');
  return handle.readFile('latin1');
}

/**
 * Reads `$HOME/.pgmoneta/master.key`. The directory and the file must be closed to group and others.
 * @param homeDirectory the default is `$HOME`
 * @throws PgmonetaError MASTER_KEY_INVALID
 */
export async function readMasterKey(homeDirectory?: string): Promise<MasterKey> {
  const path = masterKeyPath(homeDirectory);
  let text: string;
  try {
    await checkDirectory(dirname(path));
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      text = await readSecretFile(handle, path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof PgmonetaError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw invalid(path, code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`, undefined, error);
  }
  const key = parseMasterKey(text);
  if (typeof key === 'string') {
    throw invalid(path, key, 'restore the file from a copy; a new key cannot open what the old one sealed');
  }
  return key;
}

async function prepareDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
    await syncDirectory(dirname(directory));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  await checkDirectory(directory);
}

/**
 * Creates `$HOME/.pgmoneta/master.key` (0600, its directory 0700) with a new salt. Nothing half-written is ever there:
 * the file is complete and durable before it gets its name. An existing file is never touched.
 * Prompts and output are the caller's.
 * @param password any source: option, environment, prompt or `generatePassword`; the same rules hold for all
 * @throws PgmonetaError ADMIN_REFUSED for a bad password, an existing file, wrong permissions
 */
export async function createMasterKey(options: { password: string; home?: string }): Promise<{ path: string }> {
  checkMasterPassword(options.password);
  const path = masterKeyPath(options.home);
  const key = { password: Buffer.from(options.password, 'utf8'), salt: randomBytes(MASTER_SALT_BYTES) };
  try {
    await prepareDirectory(dirname(path));
    const temporary = await writeBeside(path, formatMasterKey(key), { mode: 0o600 });
    try {
      await link(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(dirname(path));
  } catch (error) {
    throw creationRefused(path, error);
  }
  return { path };
}

function creationRefused(path: string, error: unknown): PgmonetaError {
  if (error instanceof PgmonetaError) {
    return new PgmonetaError('ADMIN_REFUSED', error.message, {
      hint: error.hint,
      cause: error,
      context: error.context,
    });
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') {
    return new PgmonetaError('ADMIN_REFUSED', `the master key ${path} exists already`, {
      cause: error,
      hint: 'keep it: without it every users file and every encrypted backup is unreadable',
      context: { path },
    });
  }
  return new PgmonetaError('ADMIN_REFUSED', `the master key ${path} cannot be created: ${message}`, {
    cause: error,
    hint: `check that ${dirname(dirname(path))} exists and can be written`,
    context: { path },
  });
}
