import { PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { contextOf, describePeer } from './peer.js';

/**
 * Ends the running command of a connection, on the server too, when a signal is aborted.
 * @param what is cancelled, for the message: `the backup`
 * @returns stops the watching
 */
export function watchSignal(connection: Connection, signal: AbortSignal | undefined, what: string): () => void {
  const end = (): void => {
    const message = `${what} of ${describePeer(connection.peer)} was cancelled`;
    connection.abort(new PgmonetaError('CANCELLED', message, { context: contextOf(connection.peer) }));
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  return () => signal?.removeEventListener('abort', end);
}
