import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { DELETE_FLAGS } from '../flags.js';

export default command({
  summary: 'Delete a backup',
  description:
    'And the WAL that no other backup needs. What a backup shares with others stays for them, and backups that build on it take it in.',
  args: { server: SERVER, identifier: IDENTIFIER },
  flags: DELETE_FLAGS,
  examples: [
    '<%= config.bin %> delete primary oldest',
    '<%= config.bin %> delete primary 20260115103000 --force',
    '<%= config.bin %> delete primary oldest --dry-run',
  ],
  run: (input) => {
    const { server = null, identifier = null } = input.args;
    const rehearsal = input.flags.has('dry-run');
    const request = {
      Server: server,
      Backup: identifier,
      Force: input.flags.has('force'),
      ...(rehearsal ? { DryRun: true } : {}),
    };
    return ask('delete', request, input, rehearsal ? 'delete --dry-run' : undefined);
  },
});
