import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { RESTORE_FLAGS } from '../flags.js';
import { restore } from '../restore.js';

export default command({
  summary: 'Restore a backup into a directory',
  description:
    'The result is <directory>/<server>-<label>, or with --delta the directory itself. The position is a list of words and settings without blanks: current, immediate, name=X, xid=X, lsn=X, time=X, inclusive=X, timeline=X, action=X, primary, replica.',
  args: {
    server: SERVER,
    identifier: IDENTIFIER,
    position: { description: 'How far to recover, and as what; see above', required: false },
    directory: { description: 'Where to put the restored instance', required: true },
  },
  flags: RESTORE_FLAGS,
  examples: [
    '<%= config.bin %> restore primary newest /restore',
    '<%= config.bin %> restore primary newest current /restore',
    "<%= config.bin %> restore primary newest 'time=2026-01-15 10:30:00,primary' /restore",
    '<%= config.bin %> restore primary newest /restore --tablespace-map fast=/ssd/fast',
    '<%= config.bin %> restore primary newest current /var/lib/pgsql/17/data --delta --dry-run',
  ],
  run: restore,
});
