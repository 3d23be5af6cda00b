import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core/config';
import { Help } from '@oclif/core/help';
import { settings } from '@oclif/core/settings';
import { PRODUCT_VERSION } from '../../management/version.js';
import type { Flag, Program, ProgramCommand } from './declare.js';
import { EXIT } from './exit-codes.js';
import { checkWord } from './parse.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What may follow `autocomplete`: shells, and the option to write the scripts without a word. */
const COMPLETION_WORDS = ['bash', 'zsh', '--refresh-cache', '-r'];

/** A command as oclif takes it. */
export interface OclifCommand extends Omit<ProgramCommand, 'run'> {
  readonly run: (argv: string[]) => Promise<number>;
}

/**
 * All commands of a program, loaded, under the names that oclif gives them (`status:details`). Each program exports
 * this map from its `oclif.ts`, where oclif looks for it.
 */
export async function oclifCommands(program: Program): Promise<Record<string, OclifCommand>> {
  const commands: Record<string, OclifCommand> = {};
  for (const [words, load] of Object.entries(program.commands)) {
    const { default: command } = await load();
    commands[words.replace(' ', ':')] = {
      ...command,
      flags: { ...command.flags, ...grouped(program.flags) },
      run: async (argv) => {
        const { runProgram } = await import('./run.js');
        return runProgram(program, [...words.split(' '), ...argv]);
      },
    };
  }
  return commands;
}

function grouped(flags: Readonly<Record<string, Flag>>): Record<string, Flag> {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, { ...flag, helpGroup: 'COMMON' }]));
}

/**
 * Three programs live in one package; each gets an oclif configuration of its own through a package description that
 * is made here instead of being read.
 */
async function loadConfig(program: Program): Promise<Config> {
  settings.enableAutoTranspile = false;
  const target = `./dist/programs/${program.name}/oclif.js`;
  const single = Object.hasOwn(program.commands, '');
  const topics = Object.fromEntries(
    Object.entries(program.topics).map(([name, description]) => [name, { description }]),
  );
  const config = new Config({
    root: ROOT,
    isRoot: true,
    ignoreManifest: true,
    pjson: {
      name: program.name,
      version: PRODUCT_VERSION,
      description: program.summary,
      type: 'module',
      dependencies: { '@oclif/plugin-autocomplete': '*' },
      oclif: {
        bin: program.name,
        dirname: program.name,
        topicSeparator: ' ',
        topics,
        commands: { strategy: single ? 'single' : 'explicit', target, identifier: 'default' },
        plugins: ['@oclif/plugin-autocomplete'],
      },
    } as unknown as NonNullable<ConstructorParameters<typeof Config>[0]['pjson']>,
  });
  await config.load();
  return config;
}

/** Prints help on standard output: of the program, of a topic (`conf`), or of a command. */
export async function showHelp(program: Program, words: readonly string[]): Promise<void> {
  const config = await loadConfig(program);
  const two = words.slice(0, 2).join(':');
  const subject = config.findCommand(two) === undefined ? words.slice(0, 1) : [two];
  const known =
    subject.length > 0 && (config.findCommand(subject[0] as string) ?? config.findTopic(subject[0] as string));
  await new Help(config, { maxWidth: 100 }).showHelp(known ? [subject[0] as string] : []);
}

/** Runs `autocomplete`: writes completion scripts for bash and zsh, and tells how to use them. */
export async function completion(program: Program, argv: readonly string[]): Promise<number> {
  const script = argv[1] === 'script';
  const words = argv.slice(script ? 2 : 1);
  for (const word of words) checkWord('autocomplete', COMPLETION_WORDS, word);
  const config = await loadConfig(program);
  await config.runCommand(script ? 'autocomplete:script' : 'autocomplete', words);
  return EXIT.ok;
}
