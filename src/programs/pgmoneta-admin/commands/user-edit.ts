import { command } from '../../shared/declare.js';
import { addOrEdit } from '../verbs.js';

export default command({
  summary: 'Change the password of a user',
  examples: ['<%= config.bin %> -f /etc/pgmoneta/pgmoneta_users.conf -U repl user edit'],
  run: (input) => addOrEdit('user edit', input),
});
