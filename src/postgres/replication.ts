import { serialize } from 'pg-protocol';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { formatLsn, type Lsn, parseLsn } from './lsn.js';
import { contextOf, describePeer } from './peer.js';
import { quoteIdentifier } from './quote.js';
import { firstRow, ResultCollector } from './result.js';
import { type TimelineId, toTimeline } from './segment.js';
import { type WalSink, WalStreamReader } from './wal-messages.js';

/** A physical replication slot as the server sees it. */
export interface ReplicationSlot {
  readonly type: string;
  /** Oldest WAL that the server keeps for it; null before it was ever used. */
  readonly restartLsn: Lsn | null;
  /** PID of the walsender that uses it; null when nobody does. */
  readonly activePid: number | null;
  /** reserved, extended, unreserved or lost; null when nothing is reserved. */
  readonly walStatus: string | null;
}

/** The slot of a name; null when there is none. @param connection an ordinary connection */
export async function readSlot(connection: Connection, name: string): Promise<ReplicationSlot | null> {
  const row = firstRow(
    await connection.query(
      'SELECT slot_type, restart_lsn, active_pid, wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
      [name],
    ),
  );
  if (row === null) return null;
  return {
    type: row.slot_type ?? '',
    restartLsn: row.restart_lsn ? parseLsn(row.restart_lsn) : null,
    activePid: row.active_pid ? Number(row.active_pid) : null,
    walStatus: row.wal_status ?? null,
  };
}

/** Creates a physical slot that keeps WAL from now on. @param connection a replication connection */
export async function createSlot(connection: Connection, name: string): Promise<void> {
  const reserve = connection.version.major >= 15 ? '(RESERVE_WAL true)' : 'RESERVE_WAL';
  await connection.query(`CREATE_REPLICATION_SLOT ${quoteIdentifier(name)} PHYSICAL ${reserve}`);
}

/** Drops a slot. @param connection a replication connection */
export async function dropSlot(connection: Connection, name: string): Promise<void> {
  await connection.query(`DROP_REPLICATION_SLOT ${quoteIdentifier(name)}`);
}

/**
 * The history file of a timeline, byte for byte as the server has it.
 * @param connection a replication connection
 */
export async function readTimelineHistory(connection: Connection, timeline: TimelineId): Promise<Buffer> {
  const rows: Buffer[][] = [];
  await connection.exchange({
    doing: `TIMELINE_HISTORY ${timeline}`,
    request: serialize.query(`TIMELINE_HISTORY ${timeline}`),
    message: () => {},
    row: (packet) => rows.push(rowValues(packet)),
    timeout: 60,
  });
  const content = rows[0]?.[1];
  if (content !== undefined) return content;
  throw new PgmonetaError(
    'POSTGRES_PROTOCOL',
    `${describePeer(connection.peer)} has no history of timeline ${timeline}`,
    { context: contextOf(connection.peer) },
  );
}

/** The values of a DataRow message: kind, Int32 length, Int16 count, then Int32 length and bytes of each. */
function rowValues(packet: Buffer): Buffer[] {
  const values: Buffer[] = [];
  let at = 7;
  for (let left = packet.readUInt16BE(5); left > 0 && at + 4 <= packet.length; left--) {
    const length = packet.readInt32BE(at);
    at += 4;
    values.push(Buffer.from(packet.subarray(at, at + Math.max(0, length))));
    at += Math.max(0, length);
  }
  return values;
}

/** Where a stream begins. */
export interface WalStreamStart {
  readonly slot: string;
  readonly timeline: TimelineId;
  readonly start: Lsn;
}

/** Where the WAL goes on after a timeline has ended. */
export interface NextTimeline {
  readonly timeline: TimelineId;
  /** First byte that belongs to it. */
  readonly start: Lsn;
}

/**
 * Streams WAL until the timeline ends on the server, or the connection.
 * @param onEnd called when the server has sent all of a timeline, before its answer is complete
 * @returns the timeline to go on with; null when the server ended the stream without naming one (it shuts down)
 * @throws PgmonetaError POSTGRES_WAL_REMOVED and others of the server, POSTGRES_CONNECTION_LOST
 */
export async function streamWal(
  connection: Connection,
  { slot, timeline, start }: WalStreamStart,
  sink: WalSink,
): Promise<NextTimeline | null> {
  const collector = new ResultCollector();
  const command = `START_REPLICATION SLOT ${quoteIdentifier(slot)} PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`;
  await connection.exchange({
    doing: `START_REPLICATION from ${formatLsn(start)} on timeline ${timeline}`,
    request: serialize.query(command),
    copy: new WalStreamReader(sink),
    message: (message: BackendMessage) => {
      if (message.name === 'replicationStart') sink.started();
      else if (message.name === 'copyDone') connection.send(serialize.copyDone());
      else collector.take(message);
    },
  });
  const row = firstRow(collector.last);
  if (row === null) return null;
  return { timeline: toTimeline(row.next_tli ?? ''), start: parseLsn(row.next_tli_startpos ?? '') };
}
