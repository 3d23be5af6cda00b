import { command } from '../../shared/declare.js';
import { removeUser } from '../verbs.js';

export default command({
  summary: 'Remove a user from a file',
  examples: ['<%= config.bin %> -f /etc/pgmoneta/pgmoneta_users.conf -U repl user del'],
  run: removeUser,
});
