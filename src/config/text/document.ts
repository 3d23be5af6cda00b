import { type RawValue, ValueError } from '../values/value-type.js';
import { type DecodedText, decodeOrdinary, decodePath, type Environment, expandVariables } from './decode.js';
import { parseIni } from './ini.js';
import type { ProblemList } from './problem.js';

/** An entry of a configuration file, whichever its format. */
export interface Entry {
  readonly key: string;
  readonly line: number | undefined;
  /** Whether the line had the `=` that ordinary keys need. */
  readonly equals: boolean;
  /** The value for a key of a type that expands (`true`) or not. @throws ValueError */
  value(expands: boolean, environment: Environment): { readonly value: RawValue; readonly decoded: DecodedText | null };
}

/** A section of a configuration file. */
export interface Section {
  readonly name: string | null;
  readonly line: number | undefined;
  readonly entries: readonly Entry[];
}

/** Reads INI text into sections; unreadable lines go to `problems`. */
export function readIniDocument(text: string, problems: ProblemList): readonly Section[] {
  const document = parseIni(text);
  for (const problem of document.problems) {
    problems.add({
      severity: problem.severity,
      lenient: true,
      line: problem.line,
      message: `${problem.message}: ${problem.text.slice(0, 200)}`,
    });
  }
  return document.sections.map((section) => ({
    name: section.name,
    line: section.line,
    entries: section.entries.map((entry) => ({
      key: entry.key,
      line: entry.line,
      equals: entry.equals,
      value(expands, environment) {
        const decoded = expands ? decodePath(entry.raw, environment) : decodeOrdinary(entry.raw);
        return { value: decoded.text, decoded };
      },
    })),
  }));
}

/** An entry with a native value, as TOML has it. */
export function nativeEntry(key: string, value: unknown, line: number | undefined): Entry {
  return {
    key,
    line,
    equals: true,
    value(expands, environment) {
      const raw = nativeValue(value);
      if (!expands || typeof raw !== 'string') return { value: raw, decoded: null };
      const decoded = expandVariables(raw, environment);
      return { value: decoded.text, decoded };
    },
  };
}

function isScalar(value: unknown): value is string | number | boolean {
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

function nativeValue(value: unknown): RawValue {
  if (isScalar(value)) return value;
  if (Array.isArray(value) && value.every(isScalar)) return value;
  throw new ValueError('a text, number, boolean or list of these is expected');
}
