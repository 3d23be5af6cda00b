import { oclifCommands } from '../shared/oclif.js';
import { DAEMON } from './program.js';

export default (await oclifCommands(DAEMON))[''];
