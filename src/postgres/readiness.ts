import { PgmonetaError } from '../errors/index.js';
import type { ServerFacts } from './facts.js';

/** What a server is to be used for. */
export type Purpose = 'backup' | 'server-compression' | 'incremental' | 'wal';

interface Requirement {
  readonly purposes: readonly Purpose[];
  readonly met: (facts: ServerFacts) => boolean;
  readonly error: (facts: ServerFacts, server: string) => PgmonetaError;
}

/** The server summarises from the oldest WAL that it still has when it is told to, not from then on only. */
export const SUMMARIZE =
  'run as superuser: ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf(); - then take a full backup, on which incremental ones can be built (earlier backups will do if the server still has all WAL since)';

/** What each feature needs. Nothing here concerns a feature that is not asked for. */
const REQUIREMENTS: readonly Requirement[] = [
  {
    purposes: ['backup', 'incremental', 'wal'],
    met: ({ walLevel }) => walLevel === 'replica' || walLevel === 'logical',
    error: ({ walLevel }, server) =>
      new PgmonetaError(
        'POSTGRES_WAL_LEVEL',
        `server ${server} has wal_level = ${walLevel}: its WAL does not suffice for backups`,
        {
          hint: 'set wal_level = replica and max_wal_senders = 10 in postgresql.conf and restart the server',
        },
      ),
  },
  {
    purposes: ['backup', 'incremental', 'wal'],
    met: ({ maxWalSenders }) => maxWalSenders > 0,
    error: (_, server) =>
      new PgmonetaError(
        'POSTGRES_WAL_LEVEL',
        `server ${server} has max_wal_senders = 0: nobody can replicate from it`,
        {
          hint: 'set max_wal_senders = 10 in postgresql.conf and restart the server',
        },
      ),
  },
  {
    purposes: ['backup', 'incremental', 'wal'],
    met: ({ isReplication, isSuperuser }) => isReplication || isSuperuser,
    error: ({ user }, server) =>
      new PgmonetaError('POSTGRES_NOT_REPLICATION', `role ${user} of server ${server} has no REPLICATION attribute`, {
        hint: `run as superuser: ALTER ROLE "${user}" REPLICATION;`,
      }),
  },
  {
    purposes: ['wal'],
    met: ({ maxReplicationSlots }) => maxReplicationSlots > 0,
    error: (_, server) =>
      new PgmonetaError('POSTGRES_SLOTS_EXHAUSTED', `server ${server} has max_replication_slots = 0`, {
        hint: 'set max_replication_slots = 10 in postgresql.conf and restart the server',
      }),
  },
  {
    purposes: ['server-compression'],
    met: ({ majorVersion }) => majorVersion >= 15,
    error: ({ versionText }, server) =>
      new PgmonetaError(
        'POSTGRES_UNSUPPORTED',
        `server ${server} is PostgreSQL ${versionText}, which cannot compress backups itself`,
        {
          hint: 'use compression = zstd (or another client-side one); server-side compression needs PostgreSQL 15',
        },
      ),
  },
  {
    purposes: ['incremental'],
    met: ({ majorVersion }) => majorVersion >= 17,
    error: ({ versionText }, server) =>
      new PgmonetaError(
        'POSTGRES_UNSUPPORTED',
        `server ${server} is PostgreSQL ${versionText}; incremental backups need PostgreSQL 17 or newer`,
        {
          hint: `take a full backup: pgmoneta-cli backup ${server} - unchanged files in it take no space`,
        },
      ),
  },
  {
    purposes: ['incremental'],
    met: ({ summarizeWal }) => summarizeWal !== false,
    error: (_, server) =>
      new PgmonetaError(
        'POSTGRES_UNSUPPORTED',
        `server ${server} has summarize_wal = off, which an incremental backup needs`,
        {
          hint: SUMMARIZE,
        },
      ),
  },
];

/**
 * Everything that stands between a server and a purpose; empty when it is ready.
 * @param server name of the server, for the messages
 */
export function checkReady(facts: ServerFacts, purpose: Purpose, server: string): PgmonetaError[] {
  return REQUIREMENTS.filter(({ purposes, met }) => purposes.includes(purpose) && !met(facts)).map(({ error }) =>
    error(facts, server),
  );
}

/** Throws the first thing that stands between a server and a purpose. */
export function requireReady(facts: ServerFacts, purpose: Purpose, server: string): void {
  const [first] = checkReady(facts, purpose, server);
  if (first !== undefined) throw first;
}
