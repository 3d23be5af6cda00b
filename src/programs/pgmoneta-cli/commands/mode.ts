import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Take a server out of service or bring it back',
  args: {
    server: SERVER,
    action: { description: 'The mode to change to', required: true, options: ['online', 'offline'] },
  },
  examples: ['<%= config.bin %> mode primary offline', '<%= config.bin %> mode primary online'],
  run: (input) => ask('mode', { Server: input.args.server ?? null, Action: input.args.action ?? null }, input),
});
