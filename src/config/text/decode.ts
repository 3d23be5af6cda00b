/** The text that a raw INI value stands for. */
export interface DecodedText {
  readonly text: string;
  /** Something odd that does not change the meaning. */
  readonly warning?: string;
  /** Why the value cannot be used as written; `text` is then the best guess. */
  readonly problem?: string;
}

/** Variables for `$NAME`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const COMMENT_WARNING = 'the text after the # or ; is a comment; put the value into quotes to keep it';

function decodeQuoted(raw: string, quote: string): DecodedText {
  let text = '';
  for (let index = 1; index < raw.length; index++) {
    const character = raw[index] as string;
    const next = raw[index + 1];
    if (character === '\\' && quote === '"' && (next === '"' || next === '\\')) {
      text += next;
      index += 1;
    } else if (character === quote) {
      const rest = raw.slice(index + 1).trim();
      if (rest === '' || rest.startsWith('#') || rest.startsWith(';')) return { text };
      return { text, problem: `there is text after the closing ${quote}` };
    } else {
      text += character;
    }
  }
  return { text: raw.slice(1).trim(), problem: `the opening ${quote} is not closed` };
}

/**
 * The value of an ordinary key. Quotes around the whole value keep `#` and `;`; in double quotes `\"` and `\\` stand
 * for the second character. Without quotes the value ends at the first `#` or `;`.
 */
export function decodeOrdinary(raw: string): DecodedText {
  const value = raw.replace(/^[=\s]+/, '');
  const first = value[0];
  if (first === '"' || first === "'") return decodeQuoted(value, first);
  const comment = value.search(/[#;]/);
  if (comment < 0) return { text: value };
  const text = value.slice(0, comment).trim();
  return comment > 0 && !/\s/.test(value[comment - 1] as string) ? { text, warning: COMMENT_WARNING } : { text };
}

interface Expansion {
  readonly value: string;
  readonly end: number;
  readonly problem?: string;
}

/** Resolves the `$NAME` or `${NAME}` that starts at `start`. */
function expandVariable(text: string, start: number, environment: Environment): Expansion {
  const match = /^\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))/.exec(text.slice(start, start + 1024));
  if (match === null) return { value: '$', end: start, problem: 'the $ has no name of a variable after it' };
  const name = (match[1] ?? match[2]) as string;
  const end = start + match[0].length - 1;
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  if (value === undefined) return { value: '', end, problem: `the environment has no variable ${name}` };
  return { value, end };
}

/**
 * The value of a path key, resolved as a shell would: quotes anywhere are removed, `\x` stands for `x`, `$NAME` and
 * `${NAME}` are replaced outside single quotes, a `#` or `;` outside quotes starts a comment.
 */
export function decodePath(raw: string, environment: Environment): DecodedText {
  const value = raw.replace(/^[=\s]+/, '');
  let text = '';
  let quote = '';
  let problem: string | undefined;
  for (let index = 0; index < value.length; index++) {
    const character = value[index] as string;
    if (character === '\\' && quote !== "'") {
      index += 1;
      if (index >= value.length) problem = 'the value ends with a lone backslash';
      else text += value[index];
    } else if (character === quote) {
      quote = '';
    } else if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
    } else if (quote === '' && (character === '#' || character === ';')) {
      break;
    } else if (character === '$' && quote !== "'") {
      const expansion = expandVariable(value, index, environment);
      text += expansion.value;
      index = expansion.end;
      problem ??= expansion.problem;
    } else {
      text += character;
    }
  }
  if (quote !== '') problem ??= `the opening ${quote} is not closed`;
  return problem === undefined ? { text: text.trim() } : { text: text.trim(), problem };
}

/** Replaces `$NAME` and `${NAME}` in a text without looking at quotes: for path keys of TOML files. */
export function expandVariables(value: string, environment: Environment): DecodedText {
  let text = '';
  let problem: string | undefined;
  for (let index = 0; index < value.length; index++) {
    if (value[index] !== '$') {
      text += value[index];
      continue;
    }
    const expansion = expandVariable(value, index, environment);
    text += expansion.value;
    index = expansion.end;
    problem ??= expansion.problem;
  }
  return problem === undefined ? { text } : { text, problem };
}
