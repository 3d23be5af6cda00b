import { PgmonetaError } from '../../errors/index.js';

/** Something wrong in a configuration file. */
export interface Problem {
  /** Errors refuse the configuration, warnings are told and passed over. */
  readonly severity: 'error' | 'warning';
  /** Whether `--lenient` turns the error into a warning. */
  readonly lenient?: boolean;
  /** Line in the file, from 1; absent where the whole file or section is meant. */
  readonly line?: number | undefined;
  readonly section?: string | undefined;
  readonly key?: string | undefined;
  /** The refused text; never that of a secret. */
  readonly value?: string | undefined;
  /** What is wrong. */
  readonly message: string;
  /** What would be right. */
  readonly allowed?: string | undefined;
}

const SHOWN = 100;
const VALUE_CHARACTERS = 200;

function shortened(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must not reach a terminal
  const printable = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return printable.length > VALUE_CHARACTERS ? `${printable.slice(0, VALUE_CHARACTERS)}...` : printable;
}

/** One line of text: `file:line: key = value: what is wrong; allowed: ...`. */
export function formatProblem(file: string, problem: Problem): string {
  const place = problem.line === undefined ? file : `${file}:${problem.line}`;
  const section = problem.line === undefined && problem.section !== undefined ? `[${problem.section}] ` : '';
  const value = problem.value === undefined ? '' : ` = ${shortened(problem.value)}`;
  const subject = problem.key === undefined ? section : `${section}${shortened(problem.key)}${value}: `;
  const allowed = problem.allowed === undefined ? '' : `; allowed: ${problem.allowed}`;
  return `${place}: ${subject}${problem.message}${allowed}`;
}

/** Collects what is wrong with one file, so that everything is told at once. */
export class ProblemList {
  readonly #errors: { readonly line: number; readonly text: string }[] = [];
  readonly #warnings: string[] = [];
  #errorCount = 0;
  #onlyLenient = true;
  readonly file: string;
  readonly #lenient: boolean;

  constructor(file: string, lenient = false) {
    this.file = file;
    this.#lenient = lenient;
  }

  /** Takes a problem of this file. */
  add(problem: Problem): void {
    const text = formatProblem(this.file, problem);
    if (problem.severity === 'warning' || (this.#lenient && problem.lenient)) {
      if (this.#warnings.length < SHOWN) this.#warnings.push(text);
      return;
    }
    this.#errorCount += 1;
    if (!problem.lenient) this.#onlyLenient = false;
    if (this.#errors.length < SHOWN) this.#errors.push({ line: problem.line ?? Number.MAX_SAFE_INTEGER, text });
  }

  /** The warnings so far, ready to be logged. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** The errors so far, in the order of the file. */
  get errors(): readonly string[] {
    return this.#errors.toSorted((a, b) => a.line - b.line).map((error) => error.text);
  }

  /** @throws PgmonetaError CONFIGURATION_INVALID when there is an error: the message lists all of them. */
  throwIfAny(): void {
    if (this.#errorCount === 0) return;
    const more = this.#errorCount - this.#errors.length;
    const lines = [...this.errors, ...(more > 0 ? [`... and ${more} more`] : [])];
    const head =
      this.#errorCount === 1 ? 'the configuration has an error' : `the configuration has ${this.#errorCount} errors`;
    throw new PgmonetaError('CONFIGURATION_INVALID', `${head}:\n  ${lines.join('\n  ')}`, {
      hint: `correct ${this.file}${this.#onlyLenient ? ', or start with --lenient to pass over what pgmoneta 0.21 only warned about' : ''}`,
      context: { path: this.file, errors: this.#errorCount },
    });
  }
}
