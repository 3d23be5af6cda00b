import { command } from '../../shared/declare.js';
import { masterKey } from '../verbs.js';

export default command({
  summary: 'Create the master key',
  description:
    'Writes ~/.pgmoneta/master.key, and refuses when there is one: backups and users are sealed with it. Taken from -P, else -g, else PGMONETA_PASSWORD, else asked for.',
  examples: ['<%= config.bin %> master-key', '<%= config.bin %> -g master-key'],
  run: masterKey,
});
