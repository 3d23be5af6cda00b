import { PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { contextOf, describePeer } from './peer.js';

const TICKS = 10;

/**
 * Ends the running command of a connection when nothing was read for a while. Costs nothing per read: a timer looks
 * at a counter. Time during which we ourselves do not read does not count.
 * @param seconds 0 = never
 * @param active whether silence counts at the moment
 * @returns stops the watching
 */
export function watchSilence(
  connection: Connection,
  doing: string,
  seconds: number,
  active: () => boolean,
): () => void {
  if (!(seconds > 0)) return () => {};
  let seen = connection.reads;
  let idle = 0;
  const look = (): void => {
    const moved = connection.reads !== seen || connection.paused || !active();
    seen = connection.reads;
    idle = moved ? 0 : idle + 1;
    if (idle < TICKS) return;
    clearInterval(timer);
    const message = `${describePeer(connection.peer)} has sent nothing for ${seconds} s during ${doing}`;
    const hint =
      'the server hangs or the network between drops packets: look at pg_stat_activity and pg_stat_replication there';
    connection.abort(
      new PgmonetaError('POSTGRES_STALLED', message, { hint, retryable: true, context: contextOf(connection.peer) }),
    );
  };
  const timer = setInterval(look, (seconds * 1000) / TICKS);
  return () => clearInterval(timer);
}
