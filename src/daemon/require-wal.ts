import { PgmonetaError } from '../errors/index.js';
import type { ReceiverState } from '../wal/receiver-state.js';

/**
 * Why a backup would stand without the WAL that comes after it, and what to do about it; undefined while WAL streams in.
 * @param follow the server that this one stands in for
 */
export function walNotReceived(
  server: string,
  state: ReceiverState | undefined,
  follow: string | null | undefined,
): PgmonetaError | undefined {
  const phase = state?.phase ?? 'stopped';
  if (phase === 'streaming') return undefined;
  const refusal = (why: string, hint: string): PgmonetaError =>
    new PgmonetaError('BACKUP_WAL', `WAL of ${server} is not being received: ${why}`, { hint, retryable: true });
  const anyway = 'or take the backup without --require-wal';
  if (state === undefined) {
    return refusal('the server was added after the daemon started', `restart the daemon, ${anyway}`);
  }
  switch (phase) {
    case 'starting':
      return refusal('its receiver is connecting', `try again in a moment, ${anyway}`);
    case 'stopped':
      if (follow) {
        const why = `its receiver is stopped, because it stands in for ${follow}, of which WAL is received`;
        return refusal(why, `back up ${follow}, ${anyway}`);
      }
      return refusal('its receiver is stopped', `start it with: pgmoneta-cli mode ${server} online; ${anyway}`);
    default: {
      const again = state.retryAt === undefined ? '' : ` (it tries again at ${state.retryAt.toISOString()})`;
      const why = `its receiver is waiting${again}: ${state.problem ?? 'the connection was lost'}`;
      return refusal(why, [state.hint, `see: pgmoneta-cli status details; ${anyway}`].filter(Boolean).join('; '));
    }
  }
}
