import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { SORT } from '../flags.js';

export default command({
  summary: 'List the backups of a server',
  args: { server: SERVER },
  flags: SORT,
  examples: ['<%= config.bin %> list-backup primary', '<%= config.bin %> list-backup primary --sort desc'],
  run: (input) =>
    ask('list-backup', { Server: input.args.server ?? null, Sort: input.flags.text('sort') ?? 'asc' }, input),
});
