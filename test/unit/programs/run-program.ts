import { vi } from 'vitest';
import type { Program } from '../../../src/programs/shared/declare.js';
import { runProgram } from '../../../src/programs/shared/run.js';

/** What a program did. */
export interface ProgramRun {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in this process, and catches what it prints. */
export async function runIn(program: Program, ...argv: string[]): Promise<ProgramRun> {
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      printed[name] += String(chunk);
      return true;
    }),
  );
  try {
    const exit = await runProgram(program, argv);
    return { exit, ...printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
