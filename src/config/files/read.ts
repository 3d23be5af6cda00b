import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { PgmonetaError } from '../../errors/index.js';

/** The content of a configuration file. */
export interface TextFile {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

const LIMIT = 16 * 1024 * 1024;

function refuse(path: string, what: string, why: string, hint?: string, cause?: unknown): PgmonetaError {
  return new PgmonetaError('CONFIGURATION_NOT_FOUND', `${what} ${path} ${why}`, { hint, cause, context: { path } });
}

function openText(path: string, what: string, hint?: string): number {
  try {
    // Non-blocking, so that a pipe in the place of a file cannot hold up the start.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw refuse(path, what, 'does not exist', hint, error);
    if (code === 'EACCES') {
      throw refuse(
        path,
        what,
        'cannot be read: permission denied',
        'make it readable for the user that runs this',
        error,
      );
    }
    throw refuse(path, what, `cannot be opened: ${(error as Error).message}`, hint, error);
  }
}

function readAll(descriptor: number, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const count = readSync(descriptor, buffer, filled, size - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** Decodes UTF-8. @throws PgmonetaError CONFIGURATION_INVALID naming the line of the first bad byte */
export function decodeText(bytes: Uint8Array, path: string): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const lossy = new TextDecoder('utf-8').decode(bytes);
    const line = lossy.slice(0, lossy.indexOf('\ufffd')).split('\n').length;
    throw new PgmonetaError('CONFIGURATION_INVALID', `${path}:${line}: the file is not UTF-8 text`, {
      cause: error,
      hint: `convert ${path} to UTF-8, for example with iconv`,
      context: { path },
    });
  }
  const zero = text.indexOf('\0');
  if (zero >= 0) {
    const line = text.slice(0, zero).split('\n').length;
    throw new PgmonetaError('CONFIGURATION_INVALID', `${path}:${line}: the file has binary data`, {
      hint: `check that ${path} is the right file`,
      context: { path },
    });
  }
  return text;
}

/**
 * Reads a text file of at most 16 MiB; symbolic links are followed.
 * @param what names the file in messages, for example `the configuration file`
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND or CONFIGURATION_INVALID
 */
export function readTextFile(path: string, what: string, hint?: string): TextFile {
  const descriptor = openText(path, what, hint);
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw refuse(path, what, 'is not a regular file', hint);
    if (status.size > LIMIT)
      throw refuse(path, what, `is larger than ${LIMIT} bytes`, 'check that it is the right file');
    return { text: decodeText(readAll(descriptor, status.size), path), mode: status.mode & 0o7777 };
  } finally {
    closeSync(descriptor);
  }
}
