import { closest } from '../../config/text/suggest.js';
import type { Argument, Program } from './declare.js';
import { checkWord } from './parse.js';
import { UsageError } from './usage-error.js';

/** A command that was found, and the words after it. */
export interface Selection {
  /** As in the command map: `status details`. */
  readonly words: string;
  readonly args: readonly string[];
}

/**
 * Finds the command that the words mean; two words win over one.
 * @throws UsageError with a suggestion when there is none
 */
export function selectCommand(program: Program, words: readonly string[]): Selection {
  if (Object.hasOwn(program.commands, '')) return { words: '', args: words };
  const [first, second] = words;
  if (first === undefined) throw new UsageError('A command is required');
  const two = `${first} ${second}`;
  if (second !== undefined && Object.hasOwn(program.commands, two)) return { words: two, args: words.slice(2) };
  if (Object.hasOwn(program.commands, first)) return { words: first, args: words.slice(1) };
  const subcommands = subcommandsOf(program, first);
  if (subcommands.length === 0) throw unknown(`Unknown command '${first}'`, first, firstWords(program));
  if (second === undefined) {
    throw new UsageError(`Command '${first}' requires a subcommand`, undefined, `one of: ${subcommands.join(', ')}`);
  }
  throw unknown(`Unknown subcommand '${second}' for command '${first}'`, second, subcommands);
}

/** The words that may follow a first word. */
export function subcommandsOf(program: Program, first: string): string[] {
  return Object.keys(program.commands)
    .filter((words) => words.startsWith(`${first} `))
    .map((words) => words.slice(first.length + 1));
}

function firstWords(program: Program): string[] {
  return [...new Set(Object.keys(program.commands).map((words) => words.split(' ')[0] as string))];
}

function unknown(message: string, word: string, known: readonly string[]): UsageError {
  const near = closest(word, known);
  return new UsageError(message, undefined, near === undefined ? undefined : `did you mean '${near}'?`);
}

/**
 * Gives the words their names. Optional arguments in the middle are filled only when there are words to spare:
 * `restore <server> <identifier> [<position>] <directory>` with three words has no position.
 * @throws UsageError for too few or too many words, or a word that is not allowed
 */
export function nameArguments(
  commandWords: string,
  declared: Readonly<Record<string, Argument>>,
  given: readonly string[],
): Record<string, string | undefined> {
  const entries = Object.entries(declared);
  const required = entries.filter(([, argument]) => argument.required).length;
  const subject = commandWords === '' ? '' : ` provided for command '${commandWords}'`;
  if (given.length < required) throw new UsageError(`Too few arguments${subject}`, commandWords);
  if (given.length > entries.length) throw new UsageError(`Too many arguments${subject}`, commandWords);
  let spare = given.length - required;
  const words = [...given];
  const named: Record<string, string | undefined> = {};
  for (const [name, argument] of entries) {
    if (!argument.required && spare === 0) continue;
    if (!argument.required) spare--;
    const word = words.shift() as string;
    checkWord(`<${name}>`, argument.options, word);
    named[name] = word;
  }
  return named;
}
