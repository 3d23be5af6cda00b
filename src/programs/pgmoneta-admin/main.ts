import { runProgram } from '../shared/run.js';
import { ADMIN } from './program.js';

/** Runs `pgmoneta-admin`. @returns the exit code */
export function main(argv: readonly string[]): Promise<number> {
  return runProgram(ADMIN, argv);
}
