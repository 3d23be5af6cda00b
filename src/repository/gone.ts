import { PgmonetaError } from '../errors/index.js';

/**
 * Whether a file was not there any more when it was opened. Files of WAL get other names while they are read: a segment
 * when it is finished, and again when it is stored.
 */
export function isGone(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
  // The native core tells the number of the system, which is the same everywhere for this one.
  return error instanceof PgmonetaError && error.code === 'IO' && /\(os error 2\)/.test(error.message);
}
