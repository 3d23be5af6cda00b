import type { Program } from '../shared/declare.js';
import { ADMIN_FLAGS } from './flags.js';

/** `pgmoneta-admin`: the master key, and the users and admins files. */
export const ADMIN: Program = {
  name: 'pgmoneta-admin',
  summary: 'Master key and users of pgmoneta',
  flags: ADMIN_FLAGS,
  commandFlags: {},
  topics: { user: 'Add, change, remove and list the users of a file' },
  commands: {
    'master-key': () => import('./commands/master-key.js'),
    'user add': () => import('./commands/user-add.js'),
    'user del': () => import('./commands/user-del.js'),
    'user edit': () => import('./commands/user-edit.js'),
    'user ls': () => import('./commands/user-ls.js'),
  },
};
