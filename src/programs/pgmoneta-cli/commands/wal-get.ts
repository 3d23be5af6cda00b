import { command } from '../../shared/declare.js';
import { SERVER } from '../arguments.js';

export default command({
  summary: 'Take one file of WAL out of the repository, without the daemon',
  description:
    "Made for restore_command; 'restore --wal=fetch' writes that setting. Runs as the user of the repository, with -c and the configuration of the daemon. Exit code 0: the file is there, whole and on disk; 1: the repository has not got it; 200: it could not be had, and recovery must stop.",
  args: {
    server: SERVER,
    file: { description: 'Plain name of a segment or of a history file: %f', required: true },
    target: { description: 'Where it goes: %p', required: true },
  },
  examples: ['<%= config.bin %> wal-get -c /etc/pgmoneta/pgmoneta.conf primary 000000010000000000000007 /tmp/segment'],
  run: async ({ args, flags }) => {
    const { server = '', file = '', target = '' } = args;
    const { walGet } = await import('../../shared/wal-get.js');
    return walGet({ configuration: flags.text('config'), server, file, target });
  },
});
