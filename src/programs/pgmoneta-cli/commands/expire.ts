import { command } from '../../shared/declare.js';
import { ask } from '../ask.js';
import { EXPIRE_FLAGS } from '../flags.js';

export default command({
  summary: 'Remove the backups that retention does not keep',
  description:
    'The daemon does the same by itself every retention_interval seconds. The answer says for every backup whether it stays, and why.',
  args: { server: { description: 'Name of the server in the configuration, or all (default)', required: false } },
  flags: EXPIRE_FLAGS,
  examples: ['<%= config.bin %> expire --dry-run', '<%= config.bin %> expire primary'],
  run: (input) => {
    const request = { Server: input.args.server ?? 'all', DryRun: input.flags.has('dry-run') };
    return ask('expire', request, input, 'expire');
  },
});
