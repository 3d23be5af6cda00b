import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Check that the daemon answers',
  examples: ['<%= config.bin %> ping'],
  run: (input) => ask('ping', {}, input),
});
