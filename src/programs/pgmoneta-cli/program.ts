import type { Program } from '../shared/declare.js';
import { CLI_FLAGS, COMMAND_FLAGS } from './flags.js';

/** `pgmoneta-cli`: operations against the daemon. */
export const CLI: Program = {
  name: 'pgmoneta-cli',
  summary: 'Command line of pgmoneta: backup and restore for PostgreSQL',
  flags: CLI_FLAGS,
  commandFlags: COMMAND_FLAGS,
  topics: { conf: 'Show and change the configuration of the running daemon' },
  commands: {
    annotate: () => import('./commands/annotate.js'),
    backup: () => import('./commands/backup.js'),
    cancel: () => import('./commands/cancel.js'),
    compress: () => import('./commands/compress.js'),
    'conf get': () => import('./commands/conf-get.js'),
    'conf ls': () => import('./commands/conf-ls.js'),
    'conf reload': () => import('./commands/conf-reload.js'),
    'conf set': () => import('./commands/conf-set.js'),
    decompress: () => import('./commands/decompress.js'),
    decrypt: () => import('./commands/decrypt.js'),
    delete: () => import('./commands/delete.js'),
    encrypt: () => import('./commands/encrypt.js'),
    expire: () => import('./commands/expire.js'),
    expunge: () => import('./commands/expunge.js'),
    info: () => import('./commands/info.js'),
    'list-backup': () => import('./commands/list-backup.js'),
    mode: () => import('./commands/mode.js'),
    ping: () => import('./commands/ping.js'),
    progress: () => import('./commands/progress.js'),
    restore: () => import('./commands/restore.js'),
    retain: () => import('./commands/retain.js'),
    shutdown: () => import('./commands/shutdown.js'),
    status: () => import('./commands/status.js'),
    'status details': () => import('./commands/status-details.js'),
    verify: () => import('./commands/verify.js'),
    'wal-get': () => import('./commands/wal-get.js'),
  },
};
