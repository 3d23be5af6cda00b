import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { VERIFY_FLAGS } from '../flags.js';
import { verify } from '../verify.js';

export default command({
  summary: 'Check every file of a backup',
  description:
    'Without a directory the stored files are read and checked as a stream, with no space needed. With a directory the backup is restored there, checked and removed again.',
  args: {
    server: SERVER,
    identifier: IDENTIFIER,
    directory: { description: 'Where to restore for the check', required: false },
    files: { description: 'Which files to list: only damaged ones (default), or all', required: false },
  },
  flags: VERIFY_FLAGS,
  examples: [
    '<%= config.bin %> verify primary newest',
    '<%= config.bin %> verify primary newest all',
    '<%= config.bin %> verify primary newest /scratch failed',
  ],
  run: verify,
});
