import { closest } from '../../config/text/suggest.js';
import { type Flag, FlagValues } from './declare.js';
import { UsageError } from './usage-error.js';

/** A command line, taken apart. */
export interface ParsedLine {
  /** What is no option: words of the command and its arguments. */
  readonly words: readonly string[];
  readonly flags: FlagValues;
}

interface State {
  readonly rest: string[];
  readonly words: string[];
  readonly values: Map<string, string[]>;
}

/**
 * Takes a command line apart. Options stand anywhere, as `--name value`, `--name=value`, `-n value`, `-n=value`, and
 * switches may be bundled (`-vV`). After `--` everything is a word. A lone `-`, and what starts with `-` and a digit,
 * comma or point, are words too: negative numbers and retention lists need no quoting.
 * @throws UsageError for options that are unknown, lack their value, or have a word that is not allowed
 */
export function parseLine(argv: readonly string[], flags: Readonly<Record<string, Flag>>): ParsedLine {
  const state: State = { rest: [...argv], words: [], values: new Map() };
  for (let next = state.rest.shift(); next !== undefined; next = state.rest.shift()) {
    if (next === '--') {
      state.words.push(...state.rest.splice(0));
    } else if (!looksLikeOption(next)) {
      state.words.push(next);
    } else if (next.startsWith('--')) {
      takeLong(next, state, flags);
    } else {
      takeShort(next, state, flags);
    }
  }
  return { words: state.words, flags: new FlagValues(state.values) };
}

function looksLikeOption(text: string): boolean {
  return text.startsWith('-') && !/^-([\d.,]|$)/.test(text);
}

function takeLong(option: string, state: State, flags: Readonly<Record<string, Flag>>): void {
  const equals = option.indexOf('=');
  const shown = equals < 0 ? option : option.slice(0, equals);
  const name = shown.slice(2);
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  if (flag === undefined) throw unknownOption(shown, flags);
  const value = equals < 0 ? undefined : option.slice(equals + 1);
  take(name, flag, shown, value, state, flags);
}

function takeShort(option: string, state: State, flags: Readonly<Record<string, Flag>>): void {
  const letter = option[1] as string;
  const found = Object.entries(flags).find(([, flag]) => flag.char === letter);
  if (found === undefined) throw unknownOption(option, flags);
  const [name, flag] = found;
  const rest = option.slice(2);
  const shown = `-${letter}`;
  if (flag.type === 'boolean' && rest !== '' && !rest.startsWith('=')) {
    take(name, flag, shown, undefined, state, flags);
    takeShort(`-${rest}`, state, flags);
    return;
  }
  take(name, flag, shown, rest === '' ? undefined : rest.replace(/^=/, ''), state, flags);
}

function take(
  name: string,
  flag: Flag,
  shown: string,
  attached: string | undefined,
  state: State,
  flags: Readonly<Record<string, Flag>>,
): void {
  if (flag.type === 'boolean') {
    if (attached !== undefined) throw new UsageError(`Error: Option ${shown} takes no value`);
    state.values.set(name, []);
    return;
  }
  const value = attached ?? state.rest.shift();
  if (value === undefined || (attached === undefined && isOption(value, flags))) {
    throw new UsageError(`Error: Option ${shown} requires an argument`);
  }
  checkWord(shown, flag.options, value);
  const values = flag.multiple === true ? (state.values.get(name) ?? []) : [];
  state.values.set(name, [...values, value]);
}

/** Whether a word is exactly an option of the program: then the value before it was forgotten. */
function isOption(word: string, flags: Readonly<Record<string, Flag>>): boolean {
  const name = word.split('=', 1)[0] as string;
  return Object.entries(flags).some(
    ([long, flag]) => name === `--${long}` || (flag.char !== undefined && name === `-${flag.char}`),
  );
}

function unknownOption(shown: string, flags: Readonly<Record<string, Flag>>): UsageError {
  const near = shown.startsWith('--') ? closest(shown.slice(2), Object.keys(flags)) : undefined;
  const hint = near === undefined ? 'a value that starts with a dash goes after --' : `did you mean --${near}?`;
  return new UsageError(`Error: Unknown option ${shown}`, undefined, hint);
}

/** @throws UsageError when a value is none of the allowed words */
export function checkWord(shown: string, allowed: readonly string[] | undefined, value: string): void {
  if (allowed === undefined || allowed.includes(value)) return;
  const near = closest(value, allowed);
  throw new UsageError(
    `Error: ${shown} cannot be '${value}'; it is one of: ${allowed.join(', ')}`,
    undefined,
    near === undefined ? undefined : `did you mean ${near}?`,
  );
}
