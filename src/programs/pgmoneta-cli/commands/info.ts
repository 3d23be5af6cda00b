import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Show all about one backup',
  args: { server: SERVER, identifier: IDENTIFIER },
  examples: ['<%= config.bin %> info primary newest'],
  run: (input) => ask('info', { Server: input.args.server ?? null, Backup: input.args.identifier ?? null }, input),
});
