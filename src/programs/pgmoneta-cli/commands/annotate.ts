import { command } from '../../shared/declare.js';
import { IDENTIFIER, SERVER } from '../arguments.js';
import { ask } from '../ask.js';

export default command({
  summary: 'Add, change or remove a comment of a backup',
  args: {
    server: SERVER,
    identifier: IDENTIFIER,
    action: { description: 'What to do', required: true, options: ['add', 'update', 'remove'] },
    key: { description: 'Name of the comment', required: true },
    comment: { description: 'Its text; any characters', required: false },
  },
  examples: [
    "<%= config.bin %> annotate primary newest add reason 'before the upgrade'",
    "<%= config.bin %> annotate primary newest update reason 'before the upgrade to 18'",
    '<%= config.bin %> annotate primary newest remove reason',
  ],
  run: (input) => {
    const { server = null, identifier = null, action = null, key = null, comment = null } = input.args;
    return ask('annotate', { Server: server, Backup: identifier, Action: action, Key: key, Comment: comment }, input);
  },
});
