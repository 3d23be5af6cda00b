import { asPgmonetaError, type PgmonetaError } from '../../errors/index.js';
import { PRODUCT_VERSION } from '../../management/version.js';
import { type Flag, type Program, usageOf } from './declare.js';
import { EXIT } from './exit-codes.js';
import { parseLine } from './parse.js';
import { nameArguments, selectCommand } from './select.js';
import { UsageError } from './usage-error.js';

/** Options that every program has. */
export const STANDARD_FLAGS = {
  version: { type: 'boolean', char: 'V', description: 'Print the version and exit' },
  help: { type: 'boolean', char: '?', description: 'Print help, of the command when one is named, and exit' },
} as const satisfies Record<string, Flag>;

/**
 * Runs a program: parse, find the command, load it alone, run it. oclif is loaded only for help and completion.
 * @returns the exit code; nothing is thrown
 */
export async function runProgram(program: Program, argv: readonly string[]): Promise<number> {
  // Whoever reads only the first lines (head) is no reason to fail.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    if (argv[0] === 'autocomplete' && !Object.hasOwn(program.commands, '')) {
      const { completion } = await import('./oclif.js');
      return await completion(program, argv);
    }
    return await dispatch(program, argv);
  } catch (error) {
    return report(program, asPgmonetaError(error));
  }
}

async function dispatch(program: Program, argv: readonly string[]): Promise<number> {
  const all = { ...STANDARD_FLAGS, ...program.flags, ...program.commandFlags };
  const { words, flags } = parseLine(argv, all);
  if (flags.has('version')) {
    process.stdout.write(`${program.name} ${PRODUCT_VERSION}\n`);
    return EXIT.ok;
  }
  const single = Object.hasOwn(program.commands, '');
  if (flags.has('help') || (argv.length === 0 && !single)) {
    const { showHelp } = await import('./oclif.js');
    await showHelp(program, words);
    return flags.has('help') ? EXIT.ok : EXIT.usage;
  }
  const selected = selectCommand(program, words);
  const load = program.commands[selected.words] as Program['commands'][string];
  const { default: command } = await load();
  for (const name of Object.keys(program.commandFlags)) {
    if (flags.has(name) && !Object.hasOwn(command.flags, name)) {
      throw new UsageError(`Error: Option --${name} does not belong to command '${selected.words}'`, selected.words);
    }
  }
  return command.run({ args: nameArguments(selected.words, command.args, selected.args), flags });
}

/** Prints an error: one line of what happened, one of what to do. @returns the exit code */
export async function report(program: Program, error: PgmonetaError): Promise<number> {
  process.stderr.write(`${program.name}: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  if (error instanceof UsageError) await printUsage(program, error.commandWords);
  return exitCodeOf(error);
}

/** The exit code that an error of this side means. */
export function exitCodeOf(error: PgmonetaError): number {
  switch (error.code) {
    case 'CANCELLED':
      return EXIT.interrupted;
    case 'USAGE':
    case 'CONFIGURATION_INVALID':
    case 'CONFIGURATION_NOT_FOUND':
      return EXIT.usage;
    case 'CONNECTION':
    case 'MANAGEMENT_AUTHENTICATION':
    case 'MANAGEMENT_TIMEOUT':
    case 'FRAME_INVALID':
    case 'BAD_PAYLOAD':
      return EXIT.connection;
    default:
      return EXIT.failed;
  }
}

async function printUsage(program: Program, words: string | undefined): Promise<void> {
  const load = words === undefined ? undefined : program.commands[words];
  if (load === undefined) {
    process.stderr.write(`try: ${program.name} --help\n`);
    return;
  }
  const { default: command } = await load();
  process.stderr.write(`${command.summary}\n  ${`${program.name} ${words} ${usageOf(command.args)}`.trim()}\n`);
}
