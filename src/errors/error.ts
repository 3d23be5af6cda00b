import { ERROR_TABLE, type ErrorCode } from './table.js';

/** What can be told about an error beside its code and message. */
export interface ErrorDetails {
  /** What to do next; without it the table's hint is used. */
  readonly hint?: string | undefined;
  /** The error underneath. */
  readonly cause?: unknown;
  /** Facts for the log: paths, sizes, LSNs. Never secrets. */
  readonly context?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Display name of the failed step (`Outcome.Workflow`). */
  readonly workflow?: string | undefined;
  /** Whether the same request may succeed later without any change. */
  readonly retryable?: boolean | undefined;
}

/**
 * The one error class of the product. The message says what happened, to which path or setting, and why;
 * the hint says what to do next.
 */
export class PgmonetaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly workflow: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'PgmonetaError';
    this.code = code;
    this.hint = details.hint ?? ERROR_TABLE[code].hint;
    this.context = details.context ?? {};
    this.workflow = details.workflow;
    this.retryable = details.retryable ?? false;
  }

  /** The wire number of the error, or `fallback` for codes that the wire does not know. */
  wireNumber(fallback: number): number {
    return ERROR_TABLE[this.code].wire ?? fallback;
  }
}

/** Turns anything thrown into a `PgmonetaError`; foreign errors keep their text and become `code`. */
export function asPgmonetaError(error: unknown, code: ErrorCode = 'INTERNAL'): PgmonetaError {
  if (error instanceof PgmonetaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PgmonetaError(code, message, { cause: error });
}
