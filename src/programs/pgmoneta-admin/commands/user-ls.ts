import { command } from '../../shared/declare.js';
import { showUsers } from '../verbs.js';

export default command({
  summary: 'List the users of a file',
  examples: ['<%= config.bin %> -f /etc/pgmoneta/pgmoneta_users.conf user ls'],
  run: showUsers,
});
