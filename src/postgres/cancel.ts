import { serialize } from 'pg-protocol';
import { peerOf, type ResolvedOptions } from './options.js';
import { openTransport } from './transport.js';

/** How long a cancel request may take, in milliseconds. */
const CANCEL_TIMEOUT = 5000;

/**
 * Asks a server to end what one of its processes does. The server never answers: whether it helped shows in the
 * command that was to be ended.
 * @throws PgmonetaError when the request could not be delivered
 */
export async function sendCancel(options: ResolvedOptions, processId: number, secretKey: number): Promise<void> {
  const { sslmode } = options;
  const encryption =
    sslmode === 'disable' || sslmode === 'allow' ? 'never' : sslmode === 'prefer' ? 'if offered' : 'always';
  const transport = await openTransport(options, peerOf(options), encryption, AbortSignal.timeout(CANCEL_TIMEOUT));
  await new Promise<void>((resolve) => {
    transport.onClosed = () => resolve();
    transport.socket.end(serialize.cancel(processId, secretKey));
    transport.socket.resume();
  });
}
