import { command } from '../../shared/declare.js';
import { FILE } from '../arguments.js';
import { fileCommand } from '../file-command.js';

export default command({
  summary: 'Seal a file; the source is removed when the result is verified',
  description: 'Done by the daemon when it can be reached, else by this program.',
  args: { file: FILE },
  examples: ['<%= config.bin %> encrypt /tmp/backup.tar'],
  run: (input) => fileCommand('encrypt', input),
});
