import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { KEEP_FLAGS } from '../flags.js';

export default command({
  summary: 'Keep a backup for good: neither retention nor delete without --force removes it',
  args: { server: SERVER, identifier: IDENTIFIER },
  flags: KEEP_FLAGS,
  examples: ['<%= config.bin %> retain primary newest', '<%= config.bin %> retain primary 20260115103000 --cascade'],
  run: (input) => {
    const { server = null, identifier = null } = input.args;
    return ask('retain', { Server: server, Backup: identifier, Cascade: input.flags.has('cascade') }, input);
  },
});
