import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { progress } from '../progress.js';

export default command({
  summary: 'Show how far the jobs of a server are',
  description:
    'In text, one line for each job that runs. In json and raw, Response has the job that began first, or one of the command that is named, and all of them in Jobs. That nothing runs is no failure.',
  args: {
    server: SERVER,
    command: { description: 'The job to put first, such as backup or restore', required: false },
  },
  examples: ['<%= config.bin %> progress primary', '<%= config.bin %> -F json progress primary backup'],
  run: progress,
});
