import { oclifCommands } from '../shared/oclif.js';
import { ADMIN } from './program.js';

export default await oclifCommands(ADMIN);
