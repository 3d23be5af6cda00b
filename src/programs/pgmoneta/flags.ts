import type { Flag } from '../shared/declare.js';

/** Options of the daemon. */
export const DAEMON_FLAGS = {
  config: {
    type: 'option',
    char: 'c',
    helpValue: 'FILE',
    description: 'Main configuration (/etc/pgmoneta/pgmoneta.conf)',
  },
  users: {
    type: 'option',
    char: 'u',
    helpValue: 'FILE',
    description: 'Users file (/etc/pgmoneta/pgmoneta_users.conf)',
  },
  admins: {
    type: 'option',
    char: 'A',
    helpValue: 'FILE',
    description: 'Admins file (/etc/pgmoneta/pgmoneta_admins.conf)',
  },
  directory: {
    type: 'option',
    char: 'D',
    helpValue: 'DIR',
    description: 'Directory with all these files; -c, -u and -A win (default: $PGMONETA_CONFIG_DIR)',
  },
  daemon: { type: 'boolean', char: 'd', description: 'Run in the background' },
  lenient: { type: 'boolean', description: 'Only warn about what 0.21 only warned about, such as unknown keys' },
  'allow-root': { type: 'boolean', description: 'Run as root, which is refused otherwise' },
} as const satisfies Record<string, Flag>;
