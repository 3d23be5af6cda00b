import { command } from '../../shared/declare.js';
import { addOrEdit } from '../verbs.js';

export default command({
  summary: 'Add a user to a file',
  examples: ['<%= config.bin %> -f /etc/pgmoneta/pgmoneta_users.conf -U repl user add'],
  run: (input) => addOrEdit('user add', input),
});
