import { oclifCommands } from '../shared/oclif.js';
import { CLI } from './program.js';

export default await oclifCommands(CLI);
