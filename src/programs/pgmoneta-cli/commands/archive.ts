import { resolve } from 'node:path';
import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';
import { ARCHIVE_FLAGS } from '../flags.js';

export default command({
  summary: 'Archive a backup as one tar',
  description:
    'The backup is restored to the position and written to <directory>/archive-<server>-<label>.tar, compressed and encrypted as configured, tablespaces included. Unpacked anywhere (decrypt it with pgmoneta-cli decrypt first), <server>-<label> is a data directory that starts. The position is as with restore.',
  args: {
    server: SERVER,
    identifier: IDENTIFIER,
    position: { description: 'How far to recover, and as what; see restore', required: false },
    directory: { description: 'Where to put the archive', required: true },
  },
  flags: ARCHIVE_FLAGS,
  examples: [
    '<%= config.bin %> archive primary newest /archive',
    '<%= config.bin %> archive primary newest current /archive',
  ],
  run: (input) => {
    const { server = null, identifier = null, position = null, directory = '' } = input.args;
    const request = { Server: server, Backup: identifier, Position: position, Directory: resolve(directory) };
    if (!input.flags.has('force')) return ask('archive', request, input);
    return ask('archive', { ...request, Force: true }, input, 'archive --force');
  },
});
