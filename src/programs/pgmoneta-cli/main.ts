import { runProgram } from '../shared/run.js';
import { CLI } from './program.js';

/** Runs `pgmoneta-cli`. @returns the exit code */
export function main(argv: readonly string[]): Promise<number> {
  return runProgram(CLI, argv);
}
