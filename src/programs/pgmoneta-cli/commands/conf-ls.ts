import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Show the paths of the configuration files in use',
  examples: ['<%= config.bin %> conf ls'],
  run: (input) => ask('conf ls', {}, input),
});
