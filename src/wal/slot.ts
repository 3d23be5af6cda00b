import { PgmonetaError } from '../errors/index.js';
import { type Connection, createSlot, dropSlot, type ReplicationSlot, readSlot } from '../postgres/index.js';
import type { WalLog } from './log.js';

/** The settings about the slot of a server. */
export interface SlotSettings {
  readonly name: string;
  readonly wal_slot: string;
  readonly create_slot: boolean;
}

/**
 * The slot of a server, made when it is missing and may be made.
 * @param sql an ordinary connection
 * @param replication a replication connection
 * @throws PgmonetaError POSTGRES_SLOT_MISSING, POSTGRES_SLOT_WRONG with the statement that helps
 */
export async function usableSlot(
  server: SlotSettings,
  sql: Connection,
  replication: Connection,
  log: WalLog,
): Promise<ReplicationSlot> {
  const { wal_slot: name, create_slot: create } = server;
  let slot = await readSlot(sql, name);
  if (slot !== null && slot.type !== 'physical') {
    throw new PgmonetaError(
      'POSTGRES_SLOT_WRONG',
      `replication slot ${name} of server ${server.name} is ${slot.type}`,
      {
        hint: `WAL is received through a physical slot: set wal_slot in [${server.name}] to another name`,
      },
    );
  }
  if (slot?.walStatus === 'lost') {
    await replaceLost(server, replication, log);
    slot = null;
  }
  if (slot !== null) return slot;
  if (!create) {
    throw new PgmonetaError('POSTGRES_SLOT_MISSING', `server ${server.name} has no replication slot ${name}`, {
      hint: `run: SELECT pg_create_physical_replication_slot('${name}', true); - or set create_slot = yes in [${server.name}]`,
    });
  }
  await createSlot(replication, name);
  log.info(`replication slot ${name} was created on server ${server.name}`);
  const made = await readSlot(sql, name);
  if (made !== null) return made;
  throw new PgmonetaError('POSTGRES_SLOT_MISSING', `replication slot ${name} disappeared as soon as it was created`);
}

async function replaceLost(server: SlotSettings, replication: Connection, log: WalLog): Promise<void> {
  const { wal_slot: name } = server;
  const gone = `replication slot ${name} of server ${server.name} was invalidated: the server has removed WAL that it was to keep (max_slot_wal_keep_size)`;
  if (!server.create_slot) {
    throw new PgmonetaError('POSTGRES_SLOT_WRONG', gone, {
      hint: `run: SELECT pg_drop_replication_slot('${name}'), pg_create_physical_replication_slot('${name}', true); - then take a full backup; or set create_slot = yes in [${server.name}]`,
    });
  }
  log.error(`${gone}; it is made anew, and there will be a gap in the WAL: take a full backup`);
  await dropSlot(replication, name);
}
