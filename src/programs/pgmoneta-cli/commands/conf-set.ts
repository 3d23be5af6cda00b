import { command } from '../../shared/declare.js';
import { confSet } from '../conf-set.js';
import { CONF_SET_FLAGS } from '../flags.js';

export default command({
  summary: 'Change a key of the running daemon',
  description:
    'The change is applied to the running daemon, and written to its file only with --persist. A value that starts with a dash and a letter goes after --.',
  args: {
    key: { description: 'key, pgmoneta.key or server.<name>.key', required: true },
    value: { description: 'The new value', required: true },
  },
  flags: CONF_SET_FLAGS,
  examples: ['<%= config.bin %> conf set log_level debug', '<%= config.bin %> conf set --persist retention -,4,-,-'],
  run: confSet,
});
