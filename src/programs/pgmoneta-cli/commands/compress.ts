import { command } from '../../shared/declare.js';
import { FILE } from '../arguments.js';
import { fileCommand } from '../file-command.js';

export default command({
  summary: 'Compress a file',
  description: 'Done by the daemon when it can be reached, else by this program.',
  args: { file: FILE },
  examples: ['<%= config.bin %> compress /tmp/backup.tar'],
  run: (input) => fileCommand('compress', input),
});
