import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Show the servers, their space and what runs on them',
  examples: ['<%= config.bin %> status', '<%= config.bin %> -F json status'],
  run: (input) => ask('status', {}, input),
});
