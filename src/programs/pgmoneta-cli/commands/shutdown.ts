import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Stop the daemon',
  examples: ['<%= config.bin %> shutdown'],
  run: (input) => ask('shutdown', {}, input),
});
