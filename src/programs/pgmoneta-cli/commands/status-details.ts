import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Show the servers with all their backups',
  examples: ['<%= config.bin %> status details'],
  run: (input) => ask('status details', {}, input),
});
