import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { JsonObject } from '../jobs/messages.js';
import { optionalText } from '../jobs/request.js';
import type { ManagementRequest } from '../management/index.js';
import type { DaemonState } from './state.js';

/** Runs the job of one server. */
type RunJob = (state: DaemonState, request: ManagementRequest, verb: 'expire') => Promise<JsonObject>;

/**
 * `expire` of one server, or of all, one after the other: a server whose backups are being worked on keeps no other
 * one from its expiry.
 * @throws PgmonetaError of the server, when one was named; RETENTION_ERROR that names those that failed
 */
export async function expireVerb(state: DaemonState, request: ManagementRequest, run: RunJob): Promise<JsonObject> {
  const wanted = optionalText(request.request, 'Server') ?? 'all';
  const ask = (Server: string) => run(state, { ...request, request: { ...request.request, Server } }, 'expire');
  if (wanted !== 'all') return { Servers: [await ask(wanted)] };
  const servers: JsonObject[] = [];
  const failures: string[] = [];
  for (const { name } of state.configuration.servers) {
    if (request.signal.aborted) throw new PgmonetaError('CANCELLED', 'expire was cancelled');
    await ask(name).then(
      (response) => servers.push(response),
      (error) => failures.push(`${name}: ${asPgmonetaError(error).message}`),
    );
  }
  if (failures.length > 0) {
    const others = servers.map(({ Server }) => Server).join(', ');
    throw new PgmonetaError('RETENTION_ERROR', `expire failed for ${failures.join('; ')}`, {
      hint: others === '' ? 'see the log of the daemon' : `done for ${others}; see the log of the daemon`,
      retryable: true,
    });
  }
  return { Servers: servers };
}
