import type { Flag } from '../shared/declare.js';

/** Options of every command. */
export const CLI_FLAGS = {
  config: {
    type: 'option',
    char: 'c',
    helpValue: 'FILE',
    description: 'Configuration: pgmoneta_cli.conf, or pgmoneta.conf of the daemon on the same machine',
  },
  host: { type: 'option', char: 'h', helpValue: 'HOST', description: 'Host of a remote daemon' },
  port: { type: 'option', char: 'p', helpValue: 'PORT', description: 'Management port of a remote daemon' },
  user: { type: 'option', char: 'U', helpValue: 'USER', description: 'Administrator on a remote daemon' },
  password: { type: 'option', char: 'P', helpValue: 'PASSWORD', description: 'Password of the administrator' },
  'password-file': { type: 'option', helpValue: 'FILE', description: 'File whose first line is the password' },
  logfile: { type: 'option', char: 'L', helpValue: 'FILE', description: 'Append messages to a file as well' },
  verbose: { type: 'boolean', char: 'v', description: 'Print the result code at the end' },
  quiet: { type: 'boolean', description: 'Print nothing but errors' },
  format: {
    type: 'option',
    char: 'F',
    helpValue: 'FORMAT',
    options: ['text', 'json', 'raw'],
    description: 'Output format; raw is JSON with numbers as they are on the wire',
  },
  compress: {
    type: 'option',
    char: 'C',
    helpValue: 'METHOD',
    options: ['none', 'gz', 'gzip', 'zstd', 'lz4', 'bz2', 'bzip2'],
    description: 'Compression of the connection',
  },
  encrypt: {
    type: 'option',
    char: 'E',
    helpValue: 'METHOD',
    options: ['none', 'aes', 'aes256', 'aes192', 'aes128'],
    description: 'Encryption of the connection; needs the same master.key on both sides',
  },
  'exit-zero': { type: 'boolean', description: 'Exit with 0 when the daemon answered, even if the command failed' },
} as const satisfies Record<string, Flag>;

/** Options of single commands. */
export const SORT = {
  sort: {
    type: 'option',
    char: 's',
    helpValue: 'ORDER',
    options: ['asc', 'desc'],
    description: 'Order of the backups',
  },
} as const satisfies Record<string, Flag>;

export const BACKUP_FLAGS = {
  'or-full': {
    type: 'boolean',
    description: 'Take a full backup where no incremental one is possible, instead of failing',
  },
  'require-wal': { type: 'boolean', description: 'Refuse to start while WAL of the server is not being received' },
} as const satisfies Record<string, Flag>;

export const DELETE_FLAGS = {
  force: { type: 'boolean', description: 'Delete the backup even if it is retained' },
  'dry-run': { type: 'boolean', description: 'Tell what would go and what that gives back; change nothing' },
} as const satisfies Record<string, Flag>;

export const RESTORE_FLAGS = {
  'tablespace-map': {
    type: 'option',
    helpValue: 'OID|NAME|PATH=DIR',
    multiple: true,
    description: 'Put a tablespace into another directory; may be repeated',
  },
  'relative-links': { type: 'boolean', description: 'Make tablespace links relative to the data directory' },
  force: { type: 'boolean', description: 'Replace a restored directory of the same name' },
  delta: {
    type: 'boolean',
    description: 'The directory is a stopped data directory of this server: write only what differs from the backup',
  },
  wal: {
    type: 'option',
    helpValue: 'HOW',
    options: ['copy', 'fetch'],
    description: 'Copy all WAL that recovery needs (default), or let the restored server fetch it from the repository',
  },
  'allow-mixed-checksums': {
    type: 'boolean',
    description: 'Restore an incremental backup although page checksums were enabled after a backup it builds on',
  },
  extra: {
    type: 'option',
    helpValue: 'DIR',
    description: 'Put the extra files of the backup below this directory, under the paths they had on the server',
  },
  'dry-run': { type: 'boolean', description: 'Tell what would be restored and what it would take; change nothing' },
} as const satisfies Record<string, Flag>;

export const ARCHIVE_FLAGS = {
  force: { type: 'boolean', description: 'Replace an archive of the same name' },
} as const satisfies Record<string, Flag>;

export const VERIFY_FLAGS = {
  pages: { type: 'boolean', description: 'Check the checksum of every data page as well' },
} as const satisfies Record<string, Flag>;

export const EXPIRE_FLAGS = {
  'dry-run': { type: 'boolean', description: 'Print the plan with its reasons; change nothing' },
} as const satisfies Record<string, Flag>;

export const KEEP_FLAGS = {
  cascade: { type: 'boolean', description: 'The backups that an incremental one builds upon as well' },
} as const satisfies Record<string, Flag>;

export const CONF_SET_FLAGS = {
  persist: { type: 'boolean', description: 'Write the value to the configuration file of the daemon as well' },
} as const satisfies Record<string, Flag>;

/** Options of single commands, all of them. */
export const COMMAND_FLAGS: Readonly<Record<string, Flag>> = {
  ...SORT,
  ...BACKUP_FLAGS,
  ...DELETE_FLAGS,
  ...EXPIRE_FLAGS,
  ...KEEP_FLAGS,
  ...RESTORE_FLAGS,
  ...ARCHIVE_FLAGS,
  ...VERIFY_FLAGS,
  ...CONF_SET_FLAGS,
};
