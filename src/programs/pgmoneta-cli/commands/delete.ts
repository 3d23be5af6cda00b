import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { DELETE_FORCE } from '../flags.js';

export default command({
  summary: 'Delete a backup',
  args: { server: SERVER, identifier: IDENTIFIER },
  flags: DELETE_FORCE,
  examples: ['<%= config.bin %> delete primary oldest', '<%= config.bin %> delete primary 20260115103000 --force'],
  run: (input) => {
    const { server = null, identifier = null } = input.args;
    return ask('delete', { Server: server, Backup: identifier, Force: input.flags.has('force') }, input);
  },
});
