import type { Flag } from '../shared/declare.js';

/** Options of every command. */
export const ADMIN_FLAGS = {
  file: {
    type: 'option',
    char: 'f',
    helpValue: 'FILE',
    description: 'Users or admins file; needed by all user commands',
  },
  user: { type: 'option', char: 'U', helpValue: 'USER', description: 'Name of the user; asked for when absent' },
  password: {
    type: 'option',
    char: 'P',
    helpValue: 'PASSWORD',
    description: 'Password or master key; others on the machine can see it, better use PGMONETA_PASSWORD or the prompt',
  },
  generate: { type: 'boolean', char: 'g', description: 'Generate a password or master key' },
  length: { type: 'option', char: 'l', helpValue: 'N', description: 'Length of what is generated, 1 to 1024 (64)' },
  format: { type: 'option', char: 'F', helpValue: 'FORMAT', options: ['text', 'json'], description: 'Output format' },
} as const satisfies Record<string, Flag>;
