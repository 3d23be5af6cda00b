import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Read the configuration files again',
  examples: ['<%= config.bin %> conf reload'],
  run: (input) => ask('conf reload', {}, input),
});
