import type { Program } from '../shared/declare.js';
import { DAEMON_FLAGS } from './flags.js';

/** `pgmoneta`: the daemon. It has options and no commands. */
export const DAEMON: Program = {
  name: 'pgmoneta',
  summary: 'The daemon of pgmoneta: backup and restore for PostgreSQL',
  flags: DAEMON_FLAGS,
  commandFlags: {},
  topics: {},
  commands: { '': () => import('./run-daemon.js') },
};
