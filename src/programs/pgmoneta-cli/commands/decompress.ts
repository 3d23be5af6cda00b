import { command } from '../../shared/declare.js';
import { FILE } from '../arguments.js';
import { fileCommand } from '../file-command.js';

export default command({
  summary: 'Decompress a file; the method is told from the file',
  description: 'Done by the daemon when it can be reached, else by this program.',
  args: { file: FILE },
  examples: ['<%= config.bin %> decompress /tmp/backup.tar.zstd'],
  run: (input) => fileCommand('decompress', input),
});
