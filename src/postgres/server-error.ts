import type { DatabaseError } from 'pg-protocol';
import { PgmonetaError } from '../errors/index.js';
import { contextOf, describePeer, type Peer } from './peer.js';
import { SERVER_ERROR_RULES, type ServerFault } from './server-error-rules.js';

/** Takes the fields that matter out of an ErrorResponse. */
export function faultOf(error: DatabaseError): ServerFault {
  return {
    sqlstate: error.code ?? '',
    message: error.message,
    routine: error.routine ?? '',
    severity: error.severity ?? 'ERROR',
    detail: error.detail,
    hint: error.hint,
  };
}

/**
 * Turns what the server said into an error that tells a DBA what to change.
 * @param doing what was being done, for example `BASE_BACKUP`; part of the message
 */
export function fromServer(error: DatabaseError, peer: Peer, doing?: string): PgmonetaError {
  const fault = faultOf(error);
  const rule = SERVER_ERROR_RULES.find((row) => row.sqlstates.includes(fault.sqlstate) && (row.when?.(fault) ?? true));
  const said = [fault.message, fault.detail === undefined ? undefined : `(${fault.detail})`].filter(Boolean).join(' ');
  const during = doing === undefined ? '' : ` during ${doing}`;
  const message = `${describePeer(peer)}${rule ? `: ${rule.what(peer, fault)}` : ` reported an error${during}`}: ${said}`;
  const state = fault.sqlstate === '' ? '' : ` [${fault.sqlstate}]`;
  return new PgmonetaError(rule?.code ?? 'POSTGRES_QUERY', message + state, {
    hint: rule?.hint(peer, fault) ?? fault.hint ?? 'the server log has the statement and its circumstances',
    retryable: rule?.retryable ?? false,
    context: { ...contextOf(peer), sqlstate: fault.sqlstate, ...(doing === undefined ? {} : { doing }) },
    cause: error,
  });
}
