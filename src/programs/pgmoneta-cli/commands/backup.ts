import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { BACKUP_FLAGS } from '../flags.js';

export default command({
  summary: 'Take a backup of a server',
  description:
    'Without an identifier the backup is full. With one it is incremental to that backup. Ctrl-C asks the daemon to cancel; a second Ctrl-C leaves the backup running. While no WAL is received a backup is taken all the same, with a warning: it can be restored to its own end only.',
  args: {
    server: SERVER,
    identifier: { description: 'Parent of an incremental backup: a label, oldest or newest', required: false },
  },
  flags: BACKUP_FLAGS,
  examples: [
    '<%= config.bin %> backup primary',
    '<%= config.bin %> backup primary newest',
    '<%= config.bin %> backup primary --require-wal',
  ],
  run: (input) => {
    const request = { Server: input.args.server ?? null, Backup: input.args.identifier ?? null };
    if (!input.flags.has('require-wal')) return ask('backup', request, input);
    return ask('backup', { ...request, RequireWal: true }, input, 'backup --require-wal');
  },
});
