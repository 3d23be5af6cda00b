import { type Configuration, type EffectiveServer, effectiveServer } from '../config/of-server.js';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import type { JsonObject } from './messages.js';
import { optionalText } from './request.js';

/**
 * The server that a request names.
 * @param code the verb's error for a server that is not configured
 */
export function serverOf(configuration: Configuration, request: JsonObject, code: ErrorCode): EffectiveServer {
  const name = optionalText(request, 'Server');
  if (name === undefined) throw new PgmonetaError(code, 'the request names no server');
  const known = configuration.servers.map((server) => server.name);
  if (!known.includes(name)) {
    throw new PgmonetaError(code, `server '${name}' is not in the configuration`, {
      hint: `configured are: ${known.join(', ') || 'none'}`,
    });
  }
  return effectiveServer(configuration, name);
}

/** Threads for heavy work: what is configured, or all processors when that is 0, at most 16. */
export function workerCount(configured: number, processors: number): number {
  return Math.max(1, Math.min(configured > 0 ? configured : processors, Math.max(processors, 1), 16));
}
