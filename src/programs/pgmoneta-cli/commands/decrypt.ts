import { command } from '../../shared/declare.js';
import { FILE } from '../arguments.js';
import { fileCommand } from '../file-command.js';

export default command({
  summary: 'Open a sealed file',
  description: 'Done by the daemon when it can be reached, else by this program.',
  args: { file: FILE },
  examples: ['<%= config.bin %> decrypt /tmp/backup.tar.aes'],
  run: (input) => fileCommand('decrypt', input),
});
