import { command } from '../../shared/declare.js';
import { confGet } from '../conf-get.js';

export default command({
  summary: 'Show the configuration of the running daemon, or one key of it',
  args: {
    key: {
      description: 'key, pgmoneta.key, server.<name> or server.<name>.key; without it everything is shown',
      required: false,
    },
  },
  examples: [
    '<%= config.bin %> conf get',
    '<%= config.bin %> conf get compression',
    '<%= config.bin %> conf get server.primary.port',
  ],
  run: confGet,
});
