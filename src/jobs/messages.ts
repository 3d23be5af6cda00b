import type { Configuration } from '../config/of-server.js';
import { asPgmonetaError, type ErrorCode, isErrorCode, PgmonetaError } from '../errors/index.js';
import type { JsonObject } from '../management/json/index.js';

/** Verbs that run in a process of their own. */
export type JobVerb =
  | 'backup'
  | 'restore'
  | 'archive'
  | 'verify'
  | 'delete'
  | 'expire'
  | 'retain'
  | 'expunge'
  | 'annotate'
  | 'hot-standby'
  | 'compress'
  | 'decompress'
  | 'encrypt'
  | 'decrypt';

export type { JsonObject } from '../management/json/index.js';

/** Sizes and counters of a running job. */
export interface JobProgress {
  /** Name of the phase for people, such as `Base backup`. */
  readonly phase: string;
  readonly done: number;
  /** 0 while the total is not known. */
  readonly total: number;
  readonly unit: 'bytes' | 'files';
}

/** Severity of a line that a job writes to the daemon's log. */
export type JobLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Daemon to job. Secrets travel here, never in arguments or the environment. */
export type ToJob =
  | {
      readonly type: 'start';
      readonly verb: JobVerb;
      readonly request: JsonObject;
      readonly configuration: Configuration;
      /** Password of the PostgreSQL user of the request's server. */
      readonly password: string | undefined;
      /** The 64 bytes that file keys are derived from; absent when no master key exists. */
      readonly masterSecret: Uint8Array | undefined;
    }
  | { readonly type: 'cancel'; readonly reason: string };

/** An error on its way from a job to the daemon. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly workflow: string | undefined;
  readonly retryable: boolean;
  readonly stack: string | undefined;
}

/** Job to daemon. */
export type FromJob =
  | { readonly type: 'progress'; readonly progress: JobProgress }
  | {
      readonly type: 'log';
      readonly level: JobLogLevel;
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number | boolean>>;
    }
  /** Holds if the process ends without another answer. */
  | { readonly type: 'standing'; readonly response: JsonObject }
  | { readonly type: 'done'; readonly response: JsonObject }
  | { readonly type: 'failed'; readonly error: WireError };

/** Packs an error for the way to the daemon. */
export function packError(error: unknown): WireError {
  const known = asPgmonetaError(error);
  const { code, message, hint, workflow, retryable } = known;
  const stack = code === 'INTERNAL' ? ((known.cause as Error | undefined)?.stack ?? known.stack) : undefined;
  return { code, message, hint, workflow, retryable, stack };
}

/** Unpacks what `packError` made. */
export function unpackError(error: WireError): PgmonetaError {
  const code: ErrorCode = isErrorCode(error.code) ? error.code : 'INTERNAL';
  const { hint, workflow, retryable } = error;
  return new PgmonetaError(code, error.message, { hint, workflow, retryable });
}
