import { option, optional, required } from '../option.js';
import { inheritableBoolean, yesNoCode } from '../values/boolean.js';
import { list } from '../values/list.js';
import { integer } from '../values/number.js';
import { NO_RETENTION, retention } from '../values/retention.js';
import { path, slotName, text } from '../values/text.js';
import { inheritableRate } from '../values/units.js';
import type { ValueType } from '../values/value-type.js';
import { S3_OPTIONS } from './storage.js';
import { channelBindingWords, manifestWords, sslModeWords } from './words.js';

const bars = (allowed: string) => list({ name: 'list', allowed, separator: '|' });
const commas = (allowed: string) => list({ name: 'list', allowed, separator: ',' });

/** `-1` is the value of the main section. */
const workers: ValueType<number | null> = {
  ...integer(-1, 1024),
  read: (raw) => {
    const value = integer(-1, 1024).read(raw);
    return value === -1 ? null : value;
  },
  write: (value) => String(value ?? -1),
  document: (value) => value,
};

/** Keys of a server that stand for themselves. */
export const SERVER_OWN_OPTIONS = {
  host: required(
    text({ maxBytes: 1024, name: 'host', allowed: 'a host name, an address, or the directory of a Unix socket' }),
    {
      reload: 'restart',
      help: 'Host of PostgreSQL; a leading / names the directory of its Unix socket.',
    },
  ),
  port: required(integer(1, 65535, 'port'), { reload: 'restart', help: 'Port of PostgreSQL.' }),
  user: required(text({ maxBytes: 127, name: 'user', allowed: 'a user of the users file' }), {
    reload: 'restart',
    help: 'Replication user; its password is in the users file.',
  }),
  wal_slot: required(slotName, { reload: 'restart', help: 'Physical replication slot that WAL is received through.' }),
  follow: optional(text({ maxBytes: 127, name: 'server', allowed: 'the name of another server section' }), {
    reload: 'restart',
    help: 'Server that this one fails over from.',
  }),
  sslmode: option(sslModeWords, 'prefer', { reload: 'hot', since: 'here', help: 'TLS towards PostgreSQL.' }),
  channel_binding: option(channelBindingWords, 'prefer', {
    reload: 'hot',
    since: 'here',
    help: 'Binding of the SCRAM login to the TLS channel.',
  }),
  tls_cert_file: optional(path, { reload: 'restart', help: 'Client certificate for PostgreSQL.' }),
  tls_key_file: optional(path, { reload: 'restart', help: 'Private key of that certificate.' }),
  tls_ca_file: optional(path, { reload: 'restart', help: 'Authority of the certificate of PostgreSQL.' }),
  wal_shipping: optional(text({ name: 'path', allowed: 'a directory' }), {
    reload: 'restart',
    help: 'Directory that WAL is copied to as well.',
  }),
  hot_standby: option(commas('a comma list of directories'), [], {
    reload: 'hot',
    help: 'Directories that are kept as copies of the latest backup, each as DIRECTORY/SERVER; at most 8.',
  }),
  hot_standby_overrides: option(bars('a | list of directories, one for each entry of hot_standby'), [], {
    reload: 'hot',
    help: 'Directories whose files replace those of the standby of the same place in the list.',
  }),
  hot_standby_tablespaces: option(bars('a | list of from->to[,from->to], one for each entry of hot_standby'), [], {
    reload: 'hot',
    help: 'New places of tablespaces in the standby of the same place in the list; from is an OID or the path on the server.',
  }),
  extra: option(commas('a comma list of paths on the server'), [], {
    reload: 'hot',
    help: 'Files and directories on the host of the server that are backed up too; the user has to be allowed to read them.',
  }),
};

const INHERITED = 'restart' as const;

/** Keys of a server that are taken from the main section when they are not set. */
export const SERVER_INHERITED_OPTIONS = {
  create_slot: optional(yesNoCode, {
    reload: 'hot',
    inherits: true,
    unset: 0,
    help: 'Create the replication slot when it does not exist.',
  }),
  retention: option(retention, NO_RETENTION, {
    reload: 'hot',
    inherits: true,
    help: 'How long backups are kept; each unset field is that of [pgmoneta].',
  }),
  workspace: optional(path, { reload: INHERITED, inherits: true, help: 'Directory for scratch files.' }),
  workers: optional(workers as ValueType<number>, {
    reload: 'hot',
    inherits: true,
    unset: -1,
    help: 'Threads of a job; -1 is the value of [pgmoneta].',
  }),
  max_rate: optional(inheritableRate as ValueType<number>, {
    reload: 'hot',
    inherits: true,
    unset: -1,
    help: 'Most bytes per second that a backup takes; 0 is unlimited, -1 the value of [pgmoneta].',
  }),
  progress: optional(inheritableBoolean as ValueType<boolean>, {
    reload: 'hot',
    inherits: true,
    help: 'Write to the log how far a job is: at every phase, and once a minute. The command shows it at any time.',
  }),
  manifest_checksums: optional(manifestWords, {
    reload: 'hot',
    inherits: true,
    since: 'here',
    help: 'Checksums in the manifest that PostgreSQL sends.',
  }),
};

type S3Key = keyof typeof S3_OPTIONS;
type NullableS3 = {
  [Key in S3Key]: (typeof S3_OPTIONS)[Key] extends import('../option.js').Option<infer T>
    ? import('../option.js').Option<T | null>
    : never;
};

/** The S3 keys again: unset ones are those of the main section. */
export const SERVER_S3_OPTIONS = Object.fromEntries(
  Object.entries(S3_OPTIONS).map(([key, row]) => [
    key,
    {
      ...row,
      fallback: null,
      inherits: true,
      unset: row.type === S3_OPTIONS.s3_port.type || key === 's3_use_tls' ? 0 : '',
    },
  ]),
) as unknown as NullableS3;
