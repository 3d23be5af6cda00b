import type { JsonObject } from './json/index.js';

/** The type of a request key, for the documentation and for checks: `?` means that it may be absent or null. */
export type RequestKeyType = 'string' | 'string?' | 'boolean?' | 'object?';

/** One command of the protocol. */
export interface CommandRow {
  /** `Header.Command`. */
  readonly code: number;
  /** Keys of `Request`. */
  readonly keys: Readonly<Record<string, RequestKeyType>>;
  /** `Outcome.Error` for failures that have no number of their own. */
  readonly error: number;
  /** `Outcome.Workflow` when no step of the work is named. */
  readonly workflow: string;
  /** How a client shows `Header.Command`, where it is not the name of the row. */
  readonly shown?: string;
}

const server = { Server: 'string' } as const;
const backup = { ...server, Backup: 'string' } as const;
const file = { SourceFile: 'string' } as const;
const restore = {
  ...backup,
  Position: 'string?',
  Directory: 'string',
  TablespaceMap: 'object?',
  RelativeLinks: 'boolean?',
  Force: 'boolean?',
  Delta: 'boolean?',
  Wal: 'string?',
  DryRun: 'boolean?',
  AllowMixedChecksums: 'boolean?',
  Extra: 'string?',
} as const;

const rows = {
  backup: {
    code: 1,
    keys: { ...server, Backup: 'string?', OrFull: 'boolean?', RequireWal: 'boolean?' },
    error: 113,
    workflow: 'Backup',
  },
  'list-backup': { code: 2, keys: { ...server, Sort: 'string?' }, error: 307, workflow: 'Backup' },
  restore: { code: 3, keys: restore, error: 609, workflow: 'restore' },
  archive: { code: 4, keys: restore, error: 908, workflow: 'archive' },
  delete: {
    code: 5,
    keys: { ...backup, Force: 'boolean?', DryRun: 'boolean?' },
    error: 509,
    workflow: 'Delete backup',
  },
  shutdown: { code: 6, keys: {}, error: 1, workflow: 'main' },
  status: { code: 7, keys: {}, error: 1000, workflow: 'status' },
  'status details': { code: 8, keys: {}, error: 1100, workflow: 'status', shown: 'status-details' },
  ping: { code: 9, keys: {}, error: 1, workflow: 'main' },
  'clear prometheus': { code: 10, keys: {}, error: 1, workflow: 'main', shown: 'reset' },
  'conf reload': { code: 11, keys: {}, error: 2707, workflow: 'configuration', shown: 'reload' },
  retain: { code: 12, keys: { ...backup, Cascade: 'boolean?' }, error: 1204, workflow: 'keep' },
  expunge: { code: 13, keys: { ...backup, Cascade: 'boolean?' }, error: 1304, workflow: 'keep' },
  decrypt: { code: 14, keys: file, error: 1403, workflow: 'aes' },
  encrypt: { code: 15, keys: file, error: 1503, workflow: 'aes' },
  decompress: { code: 16, keys: file, error: 2001, workflow: 'zstd' },
  compress: { code: 17, keys: file, error: 2101, workflow: 'zstd' },
  info: { code: 18, keys: backup, error: 2204, workflow: 'info' },
  verify: {
    code: 19,
    keys: { ...backup, Directory: 'string?', Files: 'string?', Pages: 'boolean?' },
    error: 806,
    workflow: 'verify',
  },
  annotate: {
    code: 20,
    keys: { ...backup, Action: 'string', Key: 'string', Comment: 'string?' },
    error: 2505,
    workflow: 'info',
  },
  'conf ls': { code: 21, keys: {}, error: 2603, workflow: 'configuration' },
  'conf get': { code: 22, keys: {}, error: 2603, workflow: 'configuration' },
  'conf set': {
    code: 23,
    keys: { ConfigKey: 'string', ConfigValue: 'string?' },
    error: 2707,
    workflow: 'configuration',
  },
  mode: { code: 24, keys: { ...server, Action: 'string' }, error: 2802, workflow: 'main' },
  progress: { code: 25, keys: { ...server, Command: 'string?' }, error: 3003, workflow: 'status' },
  's3 ls': { code: 200, keys: { ...server, S3Prefix: 'string?' }, error: 2905, workflow: 's3' },
  's3 delete': { code: 201, keys: { ...server, S3Prefix: 'string?' }, error: 3105, workflow: 's3' },
  's3 restore': {
    code: 202,
    keys: { ...server, S3Prefix: 'string', Position: 'string?', Directory: 'string' },
    error: 3204,
    workflow: 's3',
  },
  cancel: { code: 300, keys: server, error: 1, workflow: 'main' },
  expire: { code: 301, keys: { Server: 'string?', DryRun: 'boolean?' }, error: 2305, workflow: 'Retention' },
} as const satisfies Record<string, CommandRow>;

/** Name of a command, as a user types it. */
export type CommandName = keyof typeof rows;

/**
 * The command table: codes, request keys, error numbers and workflow names, for client and daemon. Codes 300 and
 * 301 are ours; all others are those of pgmoneta 0.21.
 */
export const COMMANDS: Readonly<Record<CommandName, CommandRow>> = rows;

/** All names, in the order of their codes. */
export const COMMAND_NAMES = Object.keys(rows) as readonly CommandName[];

const names = new Map<number, CommandName>(COMMAND_NAMES.map((name) => [rows[name].code, name]));

/**
 * The command that a code means. Code 201 is `s3 delete` in 0.21 and `s3 restore` in later versions; the restore is
 * told by its directory, so that no version deletes what it was asked to restore.
 */
export function commandOf(code: number, request: JsonObject): CommandName | undefined {
  if (code === rows['s3 delete'].code && request.Directory !== undefined) return 's3 restore';
  return names.get(code);
}
