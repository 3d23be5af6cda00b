import { DatabaseError } from 'pg-protocol';
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/postgres/peer.js';
import { fromServer } from '../../../src/postgres/server-error.js';

const PEER: Peer = {
  server: 'primary',
  host: 'db1',
  port: 5432,
  user: 'repl',
  database: 'postgres',
  replication: true,
  localAddress: '10.1.2.3',
};

function said(code: string, message: string, fields: Partial<DatabaseError> = {}): DatabaseError {
  return Object.assign(new DatabaseError(message, 0, 'error'), { code, severity: 'FATAL', ...fields });
}

describe('errors of the server', () => {
  // The words of PostgreSQL 14 to 18, with the C function that says them.
  it.each([
    [
      '28000',
      'no pg_hba.conf entry for replication connection from host "10.9.9.9", user "repl", no encryption',
      'ClientAuthentication',
      'POSTGRES_NO_HBA_ENTRY',
      'host replication repl 10.9.9.9/32 scram-sha-256',
    ],
    [
      '28000',
      'kein pg_hba.conf-Eintrag',
      'ClientAuthentication',
      'POSTGRES_NO_HBA_ENTRY',
      'host replication repl 10.1.2.3/32 scram-sha-256',
    ],
    [
      '28000',
      'pg_hba.conf rejects replication connection for host "10.1.2.3", user "repl"',
      'ClientAuthentication',
      'POSTGRES_NO_HBA_ENTRY',
      'the first line that matches counts',
    ],
    [
      '28000',
      'connection requires a valid client certificate',
      'ClientAuthentication',
      'POSTGRES_TLS',
      'tls_cert_file',
    ],
    ['28000', 'role "repl" does not exist', 'InitializeSessionUserId', 'POSTGRES_ROLE_UNKNOWN', 'CREATE ROLE "repl"'],
    [
      '28000',
      'role "repl" is not permitted to log in',
      'InitializeSessionUserId',
      'POSTGRES_ROLE_UNKNOWN',
      'ALTER ROLE "repl" LOGIN',
    ],
    ['28000', 'Peer authentication failed for user "repl"', 'auth_failed', 'POSTGRES_AUTHENTICATION', 'pg_hba.conf'],
    ['28P01', 'password authentication failed', 'auth_failed', 'POSTGRES_AUTHENTICATION', 'pgmoneta-admin user edit'],
    ['3D000', 'database "postgres" does not exist', 'InitPostgres', 'POSTGRES_DATABASE_MISSING', 'CREATE DATABASE'],
    [
      '42501',
      'must be superuser or replication role to start walsender',
      'InitPostgres',
      'POSTGRES_NOT_REPLICATION',
      'ALTER ROLE "repl" REPLICATION;',
    ],
    [
      '42501',
      'permission denied to start WAL sender',
      'InitPostgres',
      'POSTGRES_NOT_REPLICATION',
      'ALTER ROLE "repl" REPLICATION;',
    ],
    ['42501', 'permission denied for database', 'CheckMyDatabase', 'POSTGRES_PERMISSION', 'GRANT CONNECT'],
    ['42501', 'permission denied for function f', 'aclcheck_error', 'POSTGRES_PERMISSION', 'grant role "repl"'],
    [
      '53300',
      'number of requested standby connections exceeds "max_wal_senders" (currently 0)',
      'InitWalSenderSlot',
      'POSTGRES_WAL_LEVEL',
      'wal_level = replica',
    ],
    [
      '53300',
      'number of requested standby connections exceeds "max_wal_senders" (currently 2)',
      'InitWalSenderSlot',
      'POSTGRES_TOO_MANY_CONNECTIONS',
      'raise max_wal_senders',
    ],
    ['53300', 'sorry, too many clients already', 'InitProcess', 'POSTGRES_TOO_MANY_CONNECTIONS', 'max_connections'],
    [
      '53400',
      'all replication slots are in use',
      'ReplicationSlotCreate',
      'POSTGRES_SLOTS_EXHAUSTED',
      'max_replication_slots',
    ],
    ['55000', 'WAL level not sufficient for making an online backup', 'x', 'POSTGRES_WAL_LEVEL', 'wal_level = replica'],
    ['57P03', 'the database system is starting up', 'x', 'POSTGRES_NOT_READY', 'tries again'],
    ['57P01', 'terminating connection due to administrator command', 'x', 'POSTGRES_CONNECTION_LOST', 'log'],
    ['57014', 'canceling statement due to statement timeout', 'x', 'POSTGRES_QUERY_CANCELLED', 'statement_timeout'],
    ['42704', 'replication slot "s" does not exist', 'x', 'POSTGRES_SLOT_MISSING', 'create_slot = yes'],
    ['55006', 'replication slot "s" is active for PID 1', 'x', 'POSTGRES_SLOT_ACTIVE', 'wal_slot'],
    [
      '58P01',
      'requested WAL segment 000000010000000000000001 has already been removed',
      'WalSndSegmentOpen',
      'POSTGRES_WAL_REMOVED',
      'full backup',
    ],
    // Incremental backups: the words of 17.10 and 18.4.
    [
      '55000',
      'incremental backups cannot be taken unless WAL summarization is enabled',
      'parse_basebackup_options',
      'POSTGRES_UNSUPPORTED',
      'ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();',
    ],
    [
      '55000',
      'WAL summarization is not progressing',
      'WaitForWalSummarization',
      'POSTGRES_SUMMARIES',
      'pg_get_wal_summarizer_state()',
    ],
    [
      '55000',
      'WAL summaries are required on timeline 1 from 0/8000028 to 0/A000028, but the summaries for that timeline and LSN range are incomplete',
      'PrepareForIncrementalBackup',
      'POSTGRES_SUMMARIES',
      'wal_summary_keep_time',
    ],
    [
      '55000',
      "timeline 7 found in manifest, but not in this server's history",
      'PrepareForIncrementalBackup',
      'BACKUP_PARENT',
      'build on a backup of the timelines',
    ],
    [
      '55000',
      'manifest requires WAL from final timeline 1 ending at 7/0, but this backup starts at 0/5000028',
      'PrepareForIncrementalBackup',
      'BACKUP_PARENT',
      'on a standby',
    ],
    [
      'XX000',
      'system identifier in backup manifest is 42, but database system identifier is 7710552881615372340',
      'manifest_report_error',
      'BACKUP_PARENT',
      'of this cluster',
    ],
    ['XX000', 'manifest checksum mismatch', 'manifest_report_error', 'BACKUP_PARENT', 'pgmoneta-cli verify'],
    ['XX001', 'checksum verification failure during base backup', 'x', 'CORRUPT', 'damaged pages'],
    ['22012', 'division by zero', 'int4div', 'POSTGRES_QUERY', 'server log'],
  ])('%s %s', (sqlstate, text, routine, code, hint) => {
    const error = fromServer(said(sqlstate, text, { routine }), PEER, 'BASE_BACKUP');
    expect(error.code).toBe(code);
    expect(error.hint).toContain(hint);
    expect(error.message).toContain('server primary (db1:5432)');
    expect(error.message).toContain(text);
    expect(error.message).toContain(`[${sqlstate}]`);
  });

  it('says which can be tried again', () => {
    const retryable = (code: string, text = ''): boolean => fromServer(said(code, text), PEER).retryable;
    expect(['57P03', '57P01', '53300', '57014'].map((code) => retryable(code))).toEqual([true, true, true, true]);
    expect(['28P01', '3D000', '53400', '22012'].map((code) => retryable(code))).toEqual([false, false, false, false]);
  });

  it("keeps the server's detail and, without a rule, its hint", () => {
    const error = fromServer(said('22012', 'no', { detail: 'a detail', hint: 'do this' }), PEER);
    expect(error.message).toContain('no (a detail) [22012]');
    expect(error.hint).toBe('do this');
  });
});
