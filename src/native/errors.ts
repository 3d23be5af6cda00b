import { isErrorCode, PgmonetaError } from '../errors/index.js';

interface NativeFailure {
  code?: string;
  message?: string;
  path?: string;
  hint?: string;
  retryable?: boolean;
}

/** Turns an error of the addon (JSON in its message) into a `PgmonetaError`; others pass unchanged in text. */
export function fromNative(error: unknown): PgmonetaError {
  if (error instanceof PgmonetaError) return error;
  const text = error instanceof Error ? error.message : String(error);
  let failure: NativeFailure = {};
  try {
    failure = JSON.parse(text) as NativeFailure;
  } catch {
    return new PgmonetaError('NATIVE', text, { cause: error });
  }
  const code = failure.code !== undefined && isErrorCode(failure.code) ? failure.code : 'NATIVE';
  return new PgmonetaError(code, failure.message ?? text, {
    hint: failure.hint,
    retryable: failure.retryable,
    ...(failure.path === undefined ? {} : { context: { path: failure.path } }),
  });
}

/** Awaits or calls into the addon and maps its errors. */
export async function native<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromNative(error);
  }
}

/** The same for calls that answer at once. */
export function nativeSync<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fromNative(error);
  }
}
