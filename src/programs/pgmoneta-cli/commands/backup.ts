import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { BACKUP_FLAGS } from '../flags.js';

export default command({
  summary: 'Take a backup of a server',
  description:
    'Without an identifier the backup is full. With one it is incremental to that backup (PostgreSQL 17 and newer): newest and latest mean the newest valid backup that the server can build on. When there is none the command fails, as a full backup may take far more time and space than was meant; with --or-full it takes a full one then. Ctrl-C asks the daemon to cancel; a second Ctrl-C leaves the backup running. While no WAL is received a backup is taken all the same, with a warning: it can be restored to its own end only.',
  args: {
    server: SERVER,
    identifier: { description: 'Parent of an incremental backup: a label, oldest, newest or latest', required: false },
  },
  flags: BACKUP_FLAGS,
  examples: [
    '<%= config.bin %> backup primary',
    '<%= config.bin %> backup primary newest',
    '<%= config.bin %> backup primary newest --or-full',
    '<%= config.bin %> backup primary --require-wal',
  ],
  run: (input) => {
    const requireWal = input.flags.has('require-wal');
    const request = {
      Server: input.args.server ?? null,
      Backup: input.args.identifier ?? null,
      ...(input.flags.has('or-full') ? { OrFull: true } : {}),
      ...(requireWal ? { RequireWal: true } : {}),
    };
    return requireWal ? ask('backup', request, input, 'backup --require-wal') : ask('backup', request, input);
  },
});
