import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Take a backup of a server',
  description:
    'Without an identifier the backup is full. With one it is incremental to that backup. Ctrl-C asks the daemon to cancel; a second Ctrl-C leaves the backup running.',
  args: {
    server: SERVER,
    identifier: { description: 'Parent of an incremental backup: a label, oldest or newest', required: false },
  },
  examples: ['<%= config.bin %> backup primary', '<%= config.bin %> backup primary newest'],
  run: (input) => ask('backup', { Server: input.args.server ?? null, Backup: input.args.identifier ?? null }, input),
});
