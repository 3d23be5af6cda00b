import { describe, expect, it } from 'vitest';
import { ADMIN } from '../../../src/programs/pgmoneta-admin/program.js';
import { CLI } from '../../../src/programs/pgmoneta-cli/program.js';
import { oclifCommands } from '../../../src/programs/shared/oclif.js';
import { runIn } from './run-program.js';

describe('commands for oclif', () => {
  it.each([CLI, ADMIN])('of $name are all there, under its names, with the options of the program', async (program) => {
    const commands = await oclifCommands(program);
    expect(Object.keys(commands)).toEqual(Object.keys(program.commands).map((words) => words.replace(' ', ':')));
    for (const command of Object.values(commands)) {
      expect(typeof command.run).toBe('function');
      expect(Object.keys(command.flags)).toEqual(expect.arrayContaining(Object.keys(program.flags)));
    }
  });

  it('lead to the same command when oclif runs them', async () => {
    const commands = await oclifCommands(CLI);
    expect(await commands['conf:get']?.run(['a', 'b'])).toBe(1);
  });

  it('complete in bash and zsh only', async () => {
    const { exit, stderr } = await runIn(CLI, 'autocomplete', 'powershell');
    expect(stderr).toContain('one of: bash, zsh');
    expect(exit).toBe(1);
  });
});
