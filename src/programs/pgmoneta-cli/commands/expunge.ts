import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { KEEP_FLAGS } from '../flags.js';

export default command({
  summary: 'Release a retained backup: retention decides about it again',
  args: { server: SERVER, identifier: IDENTIFIER },
  flags: KEEP_FLAGS,
  examples: ['<%= config.bin %> expunge primary newest', '<%= config.bin %> expunge primary 20260115103000 --cascade'],
  run: (input) => {
    const { server = null, identifier = null } = input.args;
    return ask('expunge', { Server: server, Backup: identifier, Cascade: input.flags.has('cascade') }, input);
  },
});
