import { PgmonetaError } from '../../errors/index.js';
import { type JsonObject, type JsonValue, Real } from './value.js';

/** Nesting beyond this is refused: no document of the protocol is deeper than six. */
const MAX_DEPTH = 64;

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  "'": "'",
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const NUMBER = /[+-]?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const PLAIN = /[^"\\]*/y;
const SPACE = /[ \t\r\n]*/y;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/**
 * Reads a document of the dialect: standard JSON, and what 0.21 writes beside it (`\'`, a leading `+`, bytes after
 * the closing brace, which are ignored). A repeated key: the last one counts.
 * @param text the document; its first character must be `{`
 * @throws PgmonetaError BAD_PAYLOAD with the position of what is not understood
 */
export function readJson(text: string): JsonObject {
  const reader = new Reader(text);
  if (text[0] !== '{') throw reader.refuse('it does not start with {');
  return reader.object(0);
}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  refuse(reason: string): PgmonetaError {
    return new PgmonetaError('BAD_PAYLOAD', `the management document is damaged at character ${this.at}: ${reason}`);
  }

  object(depth: number): JsonObject {
    if (depth > MAX_DEPTH) throw this.refuse(`it is nested deeper than ${MAX_DEPTH} levels`);
    const entries: Record<string, JsonValue> = {};
    this.at++;
    if (this.closes('}')) return entries;
    for (;;) {
      if (this.peek() !== '"') throw this.refuse('a key is expected');
      const key = this.string();
      if (key === '') throw this.refuse('a key is empty');
      if (this.peek() !== ':') throw this.refuse(`a colon is expected after the key "${key.slice(0, 40)}"`);
      this.at++;
      // A plain assignment to __proto__ would set the prototype instead of the key.
      Object.defineProperty(entries, key, {
        value: this.value(depth + 1),
        enumerable: true,
        configurable: true,
        writable: true,
      });
      if (this.closes('}')) return entries;
      this.comma();
    }
  }

  private array(depth: number): JsonValue[] {
    if (depth > MAX_DEPTH) throw this.refuse(`it is nested deeper than ${MAX_DEPTH} levels`);
    const values: JsonValue[] = [];
    this.at++;
    if (this.closes(']')) return values;
    for (;;) {
      values.push(this.value(depth + 1));
      if (this.closes(']')) return values;
      this.comma();
    }
  }

  private value(depth: number): JsonValue {
    const next = this.peek();
    if (next === '"') return this.string();
    if (next === '{') return this.object(depth);
    if (next === '[') return this.array(depth);
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private number(): JsonValue {
    const match = this.match(NUMBER);
    if (match === '') throw this.refuse('a value is expected');
    if (/[.eE]/.test(match)) return new Real(Number(match));
    const small = Number(match);
    if (Number.isSafeInteger(small)) return small;
    const large = BigInt(match.replace('+', ''));
    if (large > INT64_MAX) return INT64_MAX;
    return large < INT64_MIN ? INT64_MIN : large;
  }

  private string(): string {
    let result = '';
    this.at++;
    for (;;) {
      result += this.match(PLAIN);
      if (this.at >= this.text.length) throw this.refuse('a string is not closed');
      if (this.text[this.at++] === '"') return result;
      result += this.escape();
    }
  }

  private escape(): string {
    const letter = this.text[this.at++] ?? '';
    const simple = Object.hasOwn(SIMPLE_ESCAPES, letter) ? SIMPLE_ESCAPES[letter] : undefined;
    if (simple !== undefined) return simple;
    const digits = this.text.slice(this.at, this.at + 4);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) throw this.refuse('an escape is not known');
    this.at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  private comma(): void {
    if (this.peek() !== ',') throw this.refuse('a comma or a closing bracket is expected');
    this.at++;
    this.peek();
  }

  /** Skips blanks and consumes `bracket` when it is next. */
  private closes(bracket: string): boolean {
    if (this.peek() !== bracket) return false;
    this.at++;
    return true;
  }

  /** Skips blanks; the next character, or undefined at the end. */
  private peek(): string | undefined {
    this.match(SPACE);
    return this.text[this.at];
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }
}
