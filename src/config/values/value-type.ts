/** Scalars and lists as a configuration file can hold them: INI gives text, TOML native values. */
export type RawValue = string | number | boolean | readonly (string | number | boolean)[];

/** A JSON value of the `conf get` reply. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Why a value was refused: the message completes the sentence `key = value: ...`. */
export class ValueError extends Error {
  /** The nearest allowed word, when one is near. */
  readonly suggestion: string | undefined;

  constructor(message: string, suggestion?: string) {
    super(message);
    this.name = 'ValueError';
    this.suggestion = suggestion;
  }
}

/**
 * How values of one kind are read, written and shown. `T` is what the program works with: seconds for durations,
 * bytes for sizes, the canonical word for enumerations.
 */
export interface ValueType<T> {
  /** Name of the kind in the manual. */
  readonly name: string;
  /** What is allowed, in words: ends the error message after `allowed: `. */
  readonly allowed: string;
  /** The canonical words, for completion; absent where any text is allowed. */
  readonly words?: readonly string[];
  /** Whether `$NAME` and shell-like quotes are resolved in the text. */
  readonly expands?: boolean;
  /**
   * Reads a value.
   * @throws ValueError when it is not allowed
   */
  read(raw: RawValue): T;
  /** The canonical text, which `read` turns back into the same value. */
  write(value: T): string;
  /** The value in the reply to `conf get`. */
  document(value: T): Json;
}

/** The text of a scalar. @throws ValueError for lists */
export function scalarText(raw: RawValue): string {
  if (typeof raw === 'object') throw new ValueError('one value is expected, not a list');
  return String(raw).trim();
}
