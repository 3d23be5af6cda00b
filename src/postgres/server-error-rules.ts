import type { ErrorCode } from '../errors/index.js';
import { hbaLine, type Peer, sectionOf } from './peer.js';
import { SUMMARIZE } from './readiness.js';

/** What an ErrorResponse says. `message`, `detail` and `hint` may be in any language; the others never are. */
export interface ServerFault {
  readonly sqlstate: string;
  readonly message: string;
  /** C function of the server that raised the error; a stable fact where the SQLSTATE alone is too wide. */
  readonly routine: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** One thing that a DBA can get wrong, and the way out. */
export interface ServerErrorRule {
  readonly sqlstates: readonly string[];
  /** Further facts that must hold. */
  readonly when?: (fault: ServerFault) => boolean;
  readonly code: ErrorCode;
  /** What happened, before the server's own words. */
  readonly what: (peer: Peer, fault: ServerFault) => string;
  /** What to change, with the line to add. */
  readonly hint: (peer: Peer, fault: ServerFault) => string;
  /** Whether the same may work later without any change. */
  readonly retryable?: boolean;
}

const HBA_THEN_RELOAD = 'then run SELECT pg_reload_conf(); the first line that matches counts, so mind the order';

function addressIn(fault: ServerFault): string | undefined {
  return /host "([^"]+)"/.exec(fault.message)?.[1];
}

/** Refusals before a session exists. */
const AUTHENTICATION: readonly ServerErrorRule[] = [
  {
    sqlstates: ['28000'],
    when: (fault) => fault.routine === 'ClientAuthentication' && /client certificate/.test(fault.message),
    code: 'POSTGRES_TLS',
    what: (peer) => `the server wants a client certificate of user ${peer.user}`,
    hint: (peer) =>
      `set tls_cert_file and tls_key_file in ${sectionOf(peer)} to a certificate that ssl_ca_file of the server signed`,
  },
  {
    sqlstates: ['28000'],
    when: (fault) => fault.routine === 'ClientAuthentication',
    code: 'POSTGRES_NO_HBA_ENTRY',
    what: (peer, fault) =>
      /rejects/.test(fault.message)
        ? `pg_hba.conf rejects ${peer.replication ? 'replication connections' : 'connections'} of user ${peer.user}`
        : `pg_hba.conf has no entry that lets user ${peer.user} in${peer.replication ? ' for replication' : ''}`,
    hint: (peer, fault) =>
      `add this line to pg_hba.conf of the server: ${hbaLine(peer, addressIn(fault))} - ${HBA_THEN_RELOAD}`,
  },
  {
    sqlstates: ['28000'],
    when: (fault) => fault.routine === 'InitializeSessionUserId' && /not permitted|log in/.test(fault.message),
    code: 'POSTGRES_ROLE_UNKNOWN',
    what: (peer) => `role ${peer.user} may not log in`,
    hint: (peer) => `run as superuser: ALTER ROLE "${peer.user}" LOGIN;`,
  },
  {
    sqlstates: ['28000'],
    when: (fault) => fault.routine === 'InitializeSessionUserId',
    code: 'POSTGRES_ROLE_UNKNOWN',
    what: (peer) => `role ${peer.user} does not exist`,
    hint: (peer) =>
      `run as superuser: CREATE ROLE "${peer.user}" LOGIN REPLICATION PASSWORD '...'; or correct user in ${sectionOf(peer)}`,
  },
  {
    sqlstates: ['28P01'],
    code: 'POSTGRES_AUTHENTICATION',
    what: (peer) => `the password of user ${peer.user} was not accepted`,
    hint: (peer) =>
      `store the right one with: pgmoneta-admin user edit -U ${peer.user} - or set it on the server with ALTER ROLE "${peer.user}" PASSWORD '...'; (the role may also not exist, or have no password: the server log says which)`,
  },
  {
    sqlstates: ['28000'],
    code: 'POSTGRES_AUTHENTICATION',
    what: (peer) => `user ${peer.user} was not authenticated`,
    hint: (peer) =>
      `the matching line of pg_hba.conf asks for a method that does not fit; a line that works is: ${hbaLine(peer)}`,
  },
  {
    sqlstates: ['3D000'],
    code: 'POSTGRES_DATABASE_MISSING',
    what: (peer) => `there is no database ${peer.database}`,
    hint: (peer) => `run as superuser: CREATE DATABASE "${peer.database}"; pgmoneta reads the facts of a server in it`,
  },
  {
    sqlstates: ['42501'],
    when: (fault) =>
      fault.routine === 'InitPostgres' && /replication|wal ?sender/i.test(fault.message + (fault.detail ?? '')),
    code: 'POSTGRES_NOT_REPLICATION',
    what: (peer) => `role ${peer.user} has no REPLICATION attribute`,
    hint: (peer) => `run as superuser: ALTER ROLE "${peer.user}" REPLICATION;`,
  },
  {
    sqlstates: ['42501'],
    when: (fault) => fault.routine === 'CheckMyDatabase',
    code: 'POSTGRES_PERMISSION',
    what: (peer) => `role ${peer.user} may not connect to database ${peer.database}`,
    hint: (peer) => `run as superuser: GRANT CONNECT ON DATABASE "${peer.database}" TO "${peer.user}";`,
  },
];

/** Limits of the server that are reached. */
const LIMITS: readonly ServerErrorRule[] = [
  {
    sqlstates: ['53300'],
    when: (fault) => /max_wal_senders\W+\(\D*0\)/.test(fault.message),
    code: 'POSTGRES_WAL_LEVEL',
    what: () => 'replication is switched off (max_wal_senders is 0)',
    hint: () => 'set wal_level = replica and max_wal_senders = 10 in postgresql.conf and restart the server',
  },
  {
    sqlstates: ['53300'],
    when: (fault) => /max_wal_senders/.test(fault.message),
    code: 'POSTGRES_TOO_MANY_CONNECTIONS',
    what: () => 'all WAL senders are taken',
    hint: () =>
      'raise max_wal_senders in postgresql.conf and restart the server (a backup and a WAL receiver need one each); SELECT * FROM pg_stat_replication; shows who has them',
    retryable: true,
  },
  {
    sqlstates: ['53300'],
    code: 'POSTGRES_TOO_MANY_CONNECTIONS',
    what: (peer) => `no connection is free for role ${peer.user}`,
    hint: (peer) =>
      `raise max_connections in postgresql.conf and restart the server, or lift the limit of the role: ALTER ROLE "${peer.user}" CONNECTION LIMIT -1;`,
    retryable: true,
  },
  {
    sqlstates: ['53400'],
    code: 'POSTGRES_SLOTS_EXHAUSTED',
    what: () => 'all replication slots are taken',
    hint: () =>
      'raise max_replication_slots in postgresql.conf and restart the server, or drop one that nobody uses: SELECT slot_name, active FROM pg_replication_slots;',
  },
  {
    sqlstates: ['55000'],
    when: (fault) => /wal_level|WAL level|max_replication_slots/i.test(fault.message + (fault.hint ?? '')),
    code: 'POSTGRES_WAL_LEVEL',
    what: () => 'the server is not set up for backups',
    hint: () =>
      'set wal_level = replica, max_wal_senders = 10 and max_replication_slots = 10 in postgresql.conf and restart the server',
  },
];

/** Refusals of UPLOAD_MANIFEST and of an incremental BASE_BACKUP, as measured on 17.10 and 18.4. */
const INCREMENTAL: readonly ServerErrorRule[] = [
  {
    sqlstates: ['55000'],
    when: ({ routine, message }) => routine === 'parse_basebackup_options' && /summariz/i.test(message),
    code: 'POSTGRES_UNSUPPORTED',
    what: () => 'summarize_wal is off, which an incremental backup needs',
    hint: () => SUMMARIZE,
  },
  {
    sqlstates: ['55000'],
    when: ({ routine }) => routine === 'WaitForWalSummarization',
    code: 'POSTGRES_SUMMARIES',
    what: () => 'the summariser of WAL did not get as far as the backup within a minute',
    hint: () =>
      'it is far behind or hangs: SELECT * FROM pg_get_wal_summarizer_state(); shows how far it is, the server log why; try again when it has caught up, or take a full backup',
    retryable: true,
  },
  {
    sqlstates: ['55000'],
    when: ({ routine, message }) => routine === 'PrepareForIncrementalBackup' && /summaries/i.test(message),
    code: 'POSTGRES_SUMMARIES',
    what: () => 'WAL since the parent was not summarised, or its summaries were removed',
    hint: () =>
      'take a full backup now; then see that summarize_wal stays on and that wal_summary_keep_time is longer than the time from a backup to the next that builds on it',
  },
  {
    sqlstates: ['55000'],
    when: ({ routine, message }) => routine === 'PrepareForIncrementalBackup' && /this backup starts/.test(message),
    code: 'BACKUP_PARENT',
    what: () => 'no restart point was made on the server since the parent was taken',
    hint: () =>
      'on a standby: run CHECKPOINT; on its primary, wait until it was replayed, run CHECKPOINT; on the standby, and try again',
    retryable: true,
  },
  {
    sqlstates: ['55000'],
    when: ({ routine }) => routine === 'PrepareForIncrementalBackup',
    code: 'BACKUP_PARENT',
    what: () => 'the parent is not on the way that the WAL of the server has taken',
    hint: () => 'take a full backup, or build on a backup of the timelines that the server has come by',
  },
  {
    sqlstates: ['XX000'],
    when: ({ routine, message }) => routine === 'manifest_report_error' && /system identifier/i.test(message),
    code: 'BACKUP_PARENT',
    what: () => 'the parent is a backup of another cluster',
    hint: () => 'take a full backup, or build on a backup of this cluster',
  },
  {
    sqlstates: ['XX000'],
    when: ({ routine }) => routine === 'manifest_report_error',
    code: 'BACKUP_PARENT',
    what: () => 'the manifest of the parent is not accepted',
    hint: () => 'take a full backup; pgmoneta-cli verify tells whether the parent is damaged',
  },
];

/** States of the server, and of what is asked for. */
const STATES: readonly ServerErrorRule[] = [
  {
    sqlstates: ['57P03'],
    code: 'POSTGRES_NOT_READY',
    what: () => 'the server does not accept connections now',
    hint: () =>
      'it is starting, recovering or shutting down; pgmoneta tries again by itself, the server log says how far it is',
    retryable: true,
  },
  {
    sqlstates: ['57P01', '57P02', '57P05'],
    code: 'POSTGRES_CONNECTION_LOST',
    what: () => 'the server ended the connection',
    hint: () => 'it was shut down, restarted, or an administrator ended the session; the server log says which',
    retryable: true,
  },
  {
    sqlstates: ['57014'],
    code: 'POSTGRES_QUERY_CANCELLED',
    what: () => 'the statement was cancelled',
    hint: () => 'statement_timeout or an administrator ended it; try again when the server has less to do',
    retryable: true,
  },
  {
    sqlstates: ['42704'],
    when: (fault) => /slot/i.test(fault.message) || /ReplicationSlot/.test(fault.routine),
    code: 'POSTGRES_SLOT_MISSING',
    what: () => 'the replication slot does not exist',
    hint: (peer) =>
      `set create_slot = yes in ${sectionOf(peer)}, or run: SELECT pg_create_physical_replication_slot('<wal_slot>', true);`,
  },
  {
    sqlstates: ['55006'],
    when: (fault) => /slot/i.test(fault.message) || /ReplicationSlot/.test(fault.routine),
    code: 'POSTGRES_SLOT_ACTIVE',
    what: () => 'the replication slot is in use by another receiver',
    hint: (peer) => `give every receiver a slot of its own (wal_slot in ${sectionOf(peer)}), or end the other one`,
    retryable: true,
  },
  {
    sqlstates: ['58P01'],
    when: (fault) =>
      /WAL segment/i.test(fault.message) || /WalSegmentOpen|XLogRead|wal_segment_open/i.test(fault.routine),
    code: 'POSTGRES_WAL_REMOVED',
    what: () => 'the server has removed WAL that is still needed',
    hint: () =>
      'take a new full backup; a replication slot (wal_slot with create_slot = yes) keeps WAL until it was received',
  },
  {
    sqlstates: ['XX001', 'XX002'],
    code: 'CORRUPT',
    what: () => 'the server found damaged data of its own',
    hint: () =>
      'the data directory of the server has damaged pages (its log names files and blocks): keep your older backups, check the disks, and restore or repair before relying on new backups',
  },
  {
    sqlstates: ['42501'],
    code: 'POSTGRES_PERMISSION',
    what: (peer) => `role ${peer.user} lacks a privilege`,
    hint: (peer, fault) => fault.hint ?? `grant role "${peer.user}" what the message names`,
  },
];

/** The table, first match wins. */
export const SERVER_ERROR_RULES: readonly ServerErrorRule[] = [...AUTHENTICATION, ...INCREMENTAL, ...LIMITS, ...STATES];
