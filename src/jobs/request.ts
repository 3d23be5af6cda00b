import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import type { JsonObject } from './messages.js';

/** A text of the request, or undefined when absent, null or empty (the protocol does not tell these apart). */
export function optionalText(request: JsonObject, key: string): string | undefined {
  const value = request[key];
  if (value === undefined || value === null || value === '') return undefined;
  return String(value);
}

/** A text that has to be there. */
export function requiredText(request: JsonObject, key: string, code: ErrorCode): string {
  const value = optionalText(request, key);
  if (value === undefined) throw new PgmonetaError(code, `the request has no ${key}`);
  return value;
}

/** A switch; absent is off. The C client sends booleans, people's scripts send words. */
export function flag(request: JsonObject, key: string): boolean {
  const value = request[key];
  return value === true || value === 1 || (typeof value === 'string' && /^(true|on|yes|1)$/i.test(value));
}

/** An object of texts; absent is empty. */
export function textMap(request: JsonObject, key: string): Record<string, string> {
  const value = request[key];
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, String(entry)]));
}
