import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { COMMANDS, type CommandName } from './commands.js';
import { isJsonObject, type JsonObject, type JsonValue } from './json/index.js';
import { PRODUCT_VERSION, PROTOCOL_EXTENDED, PROTOCOL_VERSION } from './version.js';

/** How the client wants to print; the daemon only echoes it. */
export const OUTPUTS = ['text', 'json', 'raw'] as const;

/** The state of a running job, as a progress frame tells it. */
export interface ProgressReport {
  /** What is being done, in words: `copying data`, `verifying`. */
  readonly phase: string;
  /** Done so far, in units. */
  readonly done: number;
  /** All there is to do, in units; 0 when it is not known. */
  readonly total: number;
  /** What is counted: `bytes` or `files`. */
  readonly unit: string;
  /** Units in a second. */
  readonly rate?: number | undefined;
  /** Seconds since the start. */
  readonly elapsed?: number | undefined;
  /** Seconds that are expected to remain; absent when it is not known. */
  readonly remaining?: number | undefined;
}

/** What a client says about itself and its wishes. */
export interface HeaderOptions {
  readonly command: CommandName;
  readonly compression: number;
  readonly encryption: number;
  /** 0 text, 1 json, 2 raw. */
  readonly output: number;
  /** Ask for progress frames (our daemon only; others ignore it). */
  readonly progress: boolean;
  readonly now?: Date;
}

/** Builds the request document of a client. */
export function requestDocument(options: HeaderOptions, request: JsonObject): JsonObject {
  const header: JsonObject = {
    ClientVersion: PROTOCOL_VERSION,
    Command: COMMANDS[options.command].code,
    Compression: options.compression,
    Encryption: options.encryption,
    Output: options.output,
    Timestamp: timestamp(options.now ?? new Date()),
    // Tells our daemon that a second frame may come, to cancel; others ignore it.
    Protocol: PROTOCOL_EXTENDED,
  };
  return { Header: options.progress ? { ...header, Progress: true } : header, Request: request };
}

/** Local time as `YYYYMMDDHHMMSS`, the form of labels and of `Header.Timestamp`. */
export function timestamp(moment: Date): string {
  const parts = [
    moment.getMonth() + 1,
    moment.getDate(),
    moment.getHours(),
    moment.getMinutes(),
    moment.getSeconds(),
  ].map((part) => String(part).padStart(2, '0'));
  return `${String(moment.getFullYear()).padStart(4, '0')}${parts.join('')}`;
}

/** `Outcome.Time`: C's `%02i:%02i:%.4f`, where the seconds have no leading zero. */
export function outcomeTime(milliseconds: number): string {
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  // Truncated, not rounded: 59.99996 seconds must not become sixty.
  const seconds = Math.floor((milliseconds % 60_000) * 10) / 10_000;
  return `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}:${seconds.toFixed(4)}`;
}

/** The reply to a request that succeeded: what came is echoed, and `Response` and `Outcome` are added. */
export function successDocument(received: JsonObject, response: JsonObject | undefined, elapsed: number): JsonObject {
  const outcome = { Outcome: { Status: true, Time: outcomeTime(elapsed) } };
  if (response === undefined) return { ...received, ...outcome };
  return { ...received, ...outcome, Response: { ...versions(), ...response } };
}

/** The reply to a request that failed. `command` is absent when it could not be told. */
export function failureDocument(
  received: JsonObject,
  command: CommandName | undefined,
  error: PgmonetaError,
): JsonObject {
  const row = command === undefined ? undefined : COMMANDS[command];
  const request = received.Request;
  const server = isJsonObject(request) ? (request.Server ?? null) : null;
  return {
    ...received,
    Outcome: {
      Error: error.wireNumber(row?.error ?? 1),
      Status: false,
      Workflow: error.workflow ?? (fromMain(error.code) ? 'main' : (row?.workflow ?? 'main')),
      Message: error.message,
      ...(error.hint === undefined ? {} : { Hint: error.hint }),
      ...(error.retryable ? { Retryable: true } : {}),
    },
    Response: { Server: server, ...versions() },
  };
}

/** The document of a progress frame. */
export function progressDocument(report: ProgressReport): JsonObject {
  return {
    Progress: {
      Phase: report.phase,
      Done: Math.round(report.done),
      Total: Math.round(report.total),
      Unit: report.unit,
      Rate: optional(report.rate),
      Elapsed: optional(report.elapsed),
      Remaining: optional(report.remaining),
    },
  };
}

/** Reads a progress frame; undefined when the document is none. */
export function readProgress(document: JsonObject): ProgressReport | undefined {
  const progress = document.Progress;
  if (!isJsonObject(progress)) return undefined;
  return {
    phase: textOf(progress.Phase),
    done: numberOf(progress.Done) ?? 0,
    total: numberOf(progress.Total) ?? 0,
    unit: textOf(progress.Unit),
    rate: numberOf(progress.Rate),
    elapsed: numberOf(progress.Elapsed),
    remaining: numberOf(progress.Remaining),
  };
}

/** A number of a document, whatever its form; undefined for everything else. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'number') {
    return value.value;
  }
  return undefined;
}

/** A text of a document; the empty text for null and everything else. */
export function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function versions(): JsonObject {
  return { ServerVersion: PROTOCOL_VERSION, ProductVersion: PRODUCT_VERSION };
}

function optional(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : Math.round(value * 1000) / 1000;
}

/** Failures that are found before a job starts carry the name of the main process. */
function fromMain(code: ErrorCode): boolean {
  return (
    /_(NOSERVER|NOFORK|OFFLINE|UNKNOWN_ACTION)$/.test(code) || code === 'BAD_PAYLOAD' || code === 'UNKNOWN_COMMAND'
  );
}

/** Turns what a failed reply tells into an error of this side. */
export function failureOf(
  document: JsonObject,
): { readonly number: number; readonly message: string; readonly hint: string | undefined } | undefined {
  const outcome = document.Outcome;
  if (!isJsonObject(outcome)) throw new PgmonetaError('BAD_PAYLOAD', 'the reply of the daemon has no Outcome');
  if (outcome.Status === true) return undefined;
  const number = numberOf(outcome.Error) ?? 0;
  const message = textOf(outcome.Message);
  const hint = textOf(outcome.Hint);
  return { number, message, hint: hint === '' ? undefined : hint };
}
