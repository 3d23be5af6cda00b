import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Cancel the running job of a server',
  args: { server: SERVER },
  examples: ['<%= config.bin %> cancel primary'],
  run: (input) => ask('cancel', { Server: input.args.server ?? null }, input),
});
