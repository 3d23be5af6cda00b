/**
 * The error table: the single source of wire numbers, exit behaviour, documentation and default hints.
 *
 * `wire` is the number that a management reply carries in `Outcome.Error`. A code without a number takes the
 * number of the verb that failed (see `genericWireNumber`), and its text travels in `Outcome.Message`.
 */
export interface ErrorRow {
  /** Number in `Outcome.Error`, as pgmoneta 0.21 defines it; absent for codes that the wire does not know. */
  readonly wire?: number;
  /** One line of documentation: when this error occurs. */
  readonly meaning: string;
  /** What to do next, used when the place that throws gives no hint of its own. */
  readonly hint?: string;
}

const rows = {
  BAD_PAYLOAD: { wire: 1, meaning: 'A management request could not be read.' },
  UNKNOWN_COMMAND: { wire: 2, meaning: 'The daemon does not know the command code.' },
  ALLOCATION: { wire: 3, meaning: 'Memory could not be had.' },

  BACKUP_INVALID: { wire: 100, meaning: 'The server does not meet what a backup needs.' },
  BACKUP_WAL: { wire: 101, meaning: 'WAL is not being received, and the backup was to insist on it.' },
  BACKUP_ACTIVE: {
    wire: 102,
    meaning: 'Another job holds the writer lock of the server.',
    hint: 'wait for the running job to end, then try again',
  },
  BACKUP_NOBACKUPS: { wire: 103, meaning: 'There is no backup that an incremental one could be built on.' },
  BACKUP_PARENT: {
    wire: 200,
    meaning: 'The named backup cannot be the parent of an incremental backup of this server.',
  },
  BACKUP_NOCHILD: { wire: 104, meaning: 'The children of the parent backup could not be determined.' },
  BACKUP_ALREADYCHILD: { wire: 105, meaning: 'The parent backup already has a child.' },
  BACKUP_SETUP: { wire: 106, meaning: 'The backup could not be prepared.' },
  BACKUP_EXECUTE: { wire: 107, meaning: 'The backup failed while it ran; nothing of it was kept.' },
  BACKUP_TEARDOWN: { wire: 108, meaning: 'The backup failed while it was being published.' },
  BACKUP_NETWORK: { wire: 109, meaning: 'The reply to a backup request could not be sent.' },
  BACKUP_OFFLINE: {
    wire: 110,
    meaning: 'The server is in mode offline.',
    hint: 'bring it back with: pgmoneta-cli mode <server> online',
  },
  BACKUP_NOSERVER: { wire: 111, meaning: 'The server is not in the configuration.' },
  BACKUP_NOFORK: { wire: 112, meaning: 'A job process could not be started.' },
  BACKUP_ERROR: { wire: 113, meaning: 'The backup failed for a reason of its own.' },
  BACKUP_CANCELLED: {
    wire: 113,
    meaning: 'The backup was cancelled; nothing of it was kept.',
  },
  LIST_BACKUP_BACKUPS: { wire: 301, meaning: 'The backups of the server could not be read.' },
  LIST_BACKUP_NETWORK: { wire: 303, meaning: 'The reply to list-backup could not be sent.' },
  LIST_BACKUP_NOSERVER: { wire: 304, meaning: 'The server is not in the configuration.' },
  LIST_BACKUP_INVALID_SORT: { wire: 306, meaning: 'The sort order is neither asc nor desc.' },
  LIST_BACKUP_ERROR: { wire: 307, meaning: 'list-backup failed.' },
  DELETE_NOSERVER: { wire: 403, meaning: 'The server is not in the configuration.' },
  DELETE_NOFORK: { wire: 404, meaning: 'A job process could not be started.' },
  DELETE_BACKUP_EXECUTE: { wire: 501, meaning: 'The backup could not be removed.' },
  DELETE_BACKUP_ACTIVE: {
    wire: 503,
    meaning: 'Another job uses the backups of the server.',
    hint: 'wait for the running job to end, then try again',
  },
  DELETE_BACKUP_NOBACKUPS: { wire: 504, meaning: 'The server has no backups.' },
  DELETE_BACKUP_NOBACKUP: {
    wire: 505,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  DELETE_BACKUP_RETAINED: {
    wire: 506,
    meaning: 'The backup is retained.',
    hint: 'release it with expunge, or use --force',
  },
  DELETE_BACKUP_ROLLUP: { wire: 507, meaning: 'The backup could not be merged into its child.' },
  DELETE_BACKUP_FULL: { wire: 508, meaning: 'The backup could not be removed from the file system.' },
  DELETE_BACKUP_ERROR: { wire: 509, meaning: 'delete failed.' },
  RESTORE_NOBACKUP: {
    wire: 600,
    meaning: 'There is no such backup, or none that fits the target.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  RESTORE_NODISK: { wire: 601, meaning: 'There is not enough free space for the restore.' },
  RESTORE_ACTIVE: {
    wire: 602,
    meaning: 'A job that changes the backups of the server is running.',
    hint: 'wait for the running job to end, then try again',
  },
  RESTORE_NOSERVER: { wire: 603, meaning: 'The server is not in the configuration.' },
  RESTORE_SETUP: { wire: 604, meaning: 'The restore could not be prepared; nothing was written.' },
  RESTORE_EXECUTE: { wire: 605, meaning: 'The restore failed while it ran.' },
  RESTORE_TEARDOWN: { wire: 606, meaning: 'The restore failed while it was being published.' },
  RESTORE_NOFORK: { wire: 607, meaning: 'A job process could not be started.' },
  RESTORE_NETWORK: { wire: 608, meaning: 'The reply to a restore request could not be sent.' },
  RESTORE_ERROR: { wire: 609, meaning: 'The restore request cannot be carried out.' },
  RESTORE_CANCELLED: { wire: 609, meaning: 'The restore was cancelled.' },
  HOT_STANDBY: {
    meaning: 'A hot standby could not be brought to the newest backup; it is what it was, and the backup is valid.',
  },
  VERIFY_NOSERVER: { wire: 800, meaning: 'The server is not in the configuration.' },
  VERIFY_SETUP: { wire: 801, meaning: 'The verification could not be prepared.' },
  VERIFY_EXECUTE: { wire: 802, meaning: 'The verification could not be carried out.' },
  VERIFY_NOFORK: { wire: 804, meaning: 'A job process could not be started.' },
  VERIFY_NETWORK: { wire: 805, meaning: 'The reply to a verify request could not be sent.' },
  VERIFY_ERROR: { wire: 806, meaning: 'verify failed, or the backup has damaged files.' },
  VERIFY_NOBACKUP: {
    wire: 806,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  ARCHIVE_NOBACKUP: {
    wire: 900,
    meaning: 'There is no such backup, or none that fits the target.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  ARCHIVE_NOSERVER: { wire: 901, meaning: 'The server is not in the configuration.' },
  ARCHIVE_ACTIVE: {
    wire: 902,
    meaning: 'A job that changes the backups of the server, or the same archive, is running.',
    hint: 'wait for the running job to end, then try again',
  },
  ARCHIVE_SETUP: { wire: 903, meaning: 'The archive could not be prepared; nothing was written.' },
  ARCHIVE_EXECUTE: { wire: 904, meaning: 'The archive failed while it was made; nothing of it was kept.' },
  ARCHIVE_TEARDOWN: { wire: 905, meaning: 'The archive failed while it was being published.' },
  ARCHIVE_NOFORK: { wire: 906, meaning: 'A job process could not be started.' },
  ARCHIVE_NETWORK: { wire: 907, meaning: 'The reply to an archive request could not be sent.' },
  ARCHIVE_ERROR: { wire: 908, meaning: 'The archive request cannot be carried out.' },
  ARCHIVE_CANCELLED: { wire: 908, meaning: 'The archive was cancelled; nothing of it was kept.' },
  STATUS_NOFORK: { wire: 1000, meaning: 'status failed.' },
  STATUS_DETAILS_NOFORK: { wire: 1100, meaning: 'status details failed.' },
  RETAIN_NOBACKUP: {
    wire: 1200,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  RETAIN_NOSERVER: { wire: 1201, meaning: 'The server is not in the configuration.' },
  RETAIN_ERROR: { wire: 1204, meaning: 'The backup cannot be retained.' },
  EXPUNGE_NOBACKUP: {
    wire: 1300,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  EXPUNGE_NOSERVER: { wire: 1301, meaning: 'The server is not in the configuration.' },
  EXPUNGE_ERROR: { wire: 1304, meaning: 'The backup cannot be released.' },
  DECRYPT_NOFILE: { wire: 1400, meaning: 'The file to decrypt does not exist.' },
  DECRYPT_ERROR: { wire: 1403, meaning: 'The file could not be decrypted.' },
  ENCRYPT_NOFILE: { wire: 1500, meaning: 'The file to encrypt does not exist.' },
  ENCRYPT_ERROR: { wire: 1503, meaning: 'The file could not be encrypted.' },
  GZIP_NOFILE: { wire: 1600, meaning: 'The file does not exist.' },
  GZIP_ERROR: { wire: 1603, meaning: 'gzip failed.' },
  ZSTD_NOFILE: { wire: 1700, meaning: 'The file does not exist.' },
  ZSTD_ERROR: { wire: 1703, meaning: 'zstd failed.' },
  LZ4_NOFILE: { wire: 1800, meaning: 'The file does not exist.' },
  LZ4_ERROR: { wire: 1803, meaning: 'lz4 failed.' },
  BZIP2_NOFILE: { wire: 1900, meaning: 'The file does not exist.' },
  BZIP2_ERROR: { wire: 1903, meaning: 'bzip2 failed.' },
  DECOMPRESS_UNKNOWN: { wire: 2001, meaning: 'The compression of the file is not known.' },
  COMPRESS_UNKNOWN: { wire: 2101, meaning: 'No compression is configured.' },
  INFO_NOBACKUP: {
    wire: 2200,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  INFO_NOSERVER: { wire: 2201, meaning: 'The server is not in the configuration.' },
  INFO_ERROR: { wire: 2204, meaning: 'info failed.' },
  RETENTION_NOSERVER: { wire: 2305, meaning: 'The server is not in the configuration.' },
  RETENTION_ERROR: { wire: 2305, meaning: 'What has expired could not be removed.' },
  ANNOTATE_NOBACKUP: {
    wire: 2500,
    meaning: 'There is no backup of that label.',
    hint: 'see the labels with: pgmoneta-cli list-backup <server>',
  },
  ANNOTATE_NOSERVER: { wire: 2501, meaning: 'The server is not in the configuration.' },
  ANNOTATE_FAILED: { wire: 2503, meaning: 'The comment cannot be added, changed or removed.' },
  ANNOTATE_UNKNOWN_ACTION: { wire: 2506, meaning: 'The action is neither add, update nor remove.' },
  CONF_GET_ERROR: { wire: 2603, meaning: 'conf get failed.' },
  CONF_SET_NOREQUEST: { wire: 2701, meaning: 'conf set came without a request.' },
  CONF_SET_NOCONFIG_KEY_OR_VALUE: { wire: 2702, meaning: 'conf set needs a key and a value.' },
  CONF_SET_UNKNOWN_KEY: { wire: 2704, meaning: 'The configuration has no such key.' },
  CONF_SET_UNKNOWN_SERVER: { wire: 2705, meaning: 'The configuration has no such server.' },
  CONF_SET_ERROR: { wire: 2707, meaning: 'The value is not allowed, or cannot be set in a running daemon.' },
  CONF_RELOAD_ERROR: {
    wire: 2707,
    meaning: 'The configuration could not be reloaded; the running one is unchanged.',
  },
  MODE_NOSERVER: { wire: 2800, meaning: 'The server is not in the configuration.' },
  MODE_FAILED: { wire: 2802, meaning: 'The mode could not be changed.' },
  MODE_UNKNOWN_ACTION: { wire: 2805, meaning: 'The mode is neither online nor offline.' },
  PROGRESS_NOSERVER: { wire: 3000, meaning: 'The server is not in the configuration.' },

  // Codes below have no number in pgmoneta 0.21; they take the number of the verb that failed.
  USAGE: { meaning: 'The command line cannot be understood.' },
  CONNECTION: { meaning: 'The daemon could not be reached, or closed the connection without an answer.' },
  SOCKET_IN_USE: {
    meaning: 'The path of the management socket is taken.',
    hint: 'stop the other daemon first, or give this one another unix_socket_dir',
  },
  MANAGEMENT_AUTHENTICATION: { meaning: 'The daemon refused the administrator.' },
  MANAGEMENT_TIMEOUT: { meaning: 'The peer of a management connection did not answer in time.' },
  FRAME_INVALID: { meaning: 'A management frame is damaged or over its limit.' },
  CONFIGURATION_INVALID: { meaning: 'The configuration has errors; each is listed with file and line.' },
  CONFIGURATION_NOT_FOUND: { meaning: 'A configuration file is missing or cannot be read.' },
  MASTER_KEY_INVALID: {
    meaning: 'The master key is missing, unreadable or has the wrong permissions.',
    hint: 'create one with: pgmoneta-admin master-key',
  },
  VAULT_INVALID: { meaning: 'A users or admins file cannot be read with this master key.' },
  ADMIN_REFUSED: { meaning: 'pgmoneta-admin refused the request.' },
  POSTGRES_UNREACHABLE: { meaning: 'The PostgreSQL server does not answer.' },
  POSTGRES_AUTHENTICATION: { meaning: 'PostgreSQL refused the user or the password.' },
  POSTGRES_NO_HBA_ENTRY: { meaning: 'pg_hba.conf has no entry for the connection.' },
  POSTGRES_NOT_REPLICATION: { meaning: 'The user has no REPLICATION attribute.' },
  POSTGRES_WAL_LEVEL: { meaning: 'wal_level is minimal.' },
  POSTGRES_TOO_OLD: { meaning: 'The server version is not supported.' },
  POSTGRES_TOO_MANY_CONNECTIONS: { meaning: 'The server has no free connection, walsender or replication slot.' },
  POSTGRES_TLS: { meaning: 'TLS with the server failed or is required and not offered.' },
  POSTGRES_PROTOCOL: { meaning: 'The server sent something that is not understood.' },
  POSTGRES_QUERY: { meaning: 'The server reported an error.' },
  POSTGRES_CONNECTION_LOST: { meaning: 'The connection to the server broke.' },
  POSTGRES_CLEARTEXT_REFUSED: { meaning: 'The server asks for the password in clear over an unencrypted link.' },
  POSTGRES_HOST_UNKNOWN: { meaning: 'The host name of the server cannot be resolved.' },
  POSTGRES_TIMEOUT: { meaning: 'The server did not answer in time.' },
  POSTGRES_STALLED: { meaning: 'The server stopped sending in the middle of a stream.' },
  POSTGRES_NOT_READY: { meaning: 'The server is starting, recovering or shutting down.' },
  POSTGRES_ROLE_UNKNOWN: { meaning: 'The role does not exist, or may not log in.' },
  POSTGRES_DATABASE_MISSING: { meaning: 'The database that pgmoneta connects to does not exist.' },
  POSTGRES_PERMISSION: { meaning: 'The role lacks a privilege.' },
  POSTGRES_SLOTS_EXHAUSTED: { meaning: 'All replication slots of the server are taken.' },
  POSTGRES_SLOT_MISSING: { meaning: 'The replication slot does not exist.' },
  POSTGRES_SLOT_WRONG: { meaning: 'The replication slot is not physical, or was invalidated.' },
  POSTGRES_SLOT_ACTIVE: { meaning: 'Another receiver uses the replication slot.' },
  POSTGRES_WAL_REMOVED: { meaning: 'The server has removed WAL that is still needed.' },
  POSTGRES_QUERY_CANCELLED: { meaning: 'A statement was cancelled on the server.' },
  POSTGRES_TLS_UNTRUSTED: {
    meaning: 'The certificate of the server is not trusted, expired, or made out to another name.',
  },
  POSTGRES_UNSUPPORTED: { meaning: 'The server does not have, or does not have switched on, what a feature needs.' },
  POSTGRES_SUMMARIES: {
    meaning: 'The server has no summaries of WAL that an incremental backup needs, or not yet.',
  },
  REPOSITORY_LOCKED: { meaning: 'Another process holds the repository.' },
  REPOSITORY_DAMAGED: { meaning: 'A file of the repository is missing or cannot be understood.' },
  WAL_DIVERGED: {
    meaning: 'The server and the WAL in the repository do not belong together.',
  },
  WAL_TIMELINE: {
    meaning: 'A timeline is not in the archive, or the backup is not on the way to it.',
    hint: 'give timeline=current or one of the timelines there are, or choose another backup',
  },
  NO_SPACE: { meaning: 'A file system has not enough free space.' },
  IO: { meaning: 'The operating system refused a file operation.' },
  CORRUPT: { meaning: 'Data does not match its checksum, size or format.' },
  CANCELLED: { meaning: 'The operation was cancelled.' },
  NATIVE: { meaning: 'The native core reported an error, or could not be loaded.' },
  INTERNAL: { meaning: 'A defect in pgmoneta itself.', hint: 'please report it with the log of the daemon' },
} as const satisfies Record<string, ErrorRow>;

/** Name of a row of the error table. */
export type ErrorCode = keyof typeof rows;

/** The error table, by code. */
export const ERROR_TABLE: Readonly<Record<ErrorCode, ErrorRow>> = rows;

/** Whether a text names a row of the error table (native errors arrive with their code as text). */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(rows, text);
}
