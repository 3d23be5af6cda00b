import { runProgram } from '../shared/run.js';
import { DAEMON } from './program.js';

/** Runs `pgmoneta`. @returns the exit code, when the daemon has ended */
export function main(argv: readonly string[]): Promise<number> {
  return runProgram(DAEMON, argv);
}
