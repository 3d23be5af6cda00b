import { defaultOf, type Option, type OptionTable } from './option.js';
import { findOption, OBSOLETE_KEYS } from './options/index.js';
import type { Environment } from './text/decode.js';
import type { Entry, Section } from './text/document.js';
import type { Problem, ProblemList } from './text/problem.js';
import { closest } from './text/suggest.js';
import { ValueError } from './values/value-type.js';

/** A value that a section sets, with the line it stands on. */
export interface GivenValue {
  readonly value: unknown;
  readonly line: number | undefined;
}

/** The values that a section sets, by key. */
export type GivenValues = ReadonlyMap<string, GivenValue>;

/** What interpretation needs to know about its surroundings. */
export interface Interpretation {
  readonly environment: Environment;
  readonly problems: ProblemList;
  /** Keys of other kinds of section, to tell a misplaced key from a mistyped one: section text by table. */
  readonly elsewhere?: readonly { readonly table: OptionTable; readonly where: string }[];
}

function unknownKey(entry: Entry, section: string, table: OptionTable, context: Interpretation): Problem {
  const base = { severity: 'error', lenient: true, line: entry.line, section, key: entry.key } as const;
  const obsolete = Object.hasOwn(OBSOLETE_KEYS, entry.key) ? OBSOLETE_KEYS[entry.key] : undefined;
  if (obsolete !== undefined) return { ...base, message: obsolete };
  for (const other of context.elsewhere ?? []) {
    if (findOption(other.table, entry.key)) return { ...base, message: `the key belongs into ${other.where}` };
  }
  const near = closest(entry.key.toLowerCase(), Object.keys(table));
  const suggestion = near === undefined ? 'see the list of keys in the manual' : `did you mean ${near}?`;
  return { ...base, message: `[${section}] has no such key; ${suggestion}` };
}

/** Reads one entry with its row; `undefined` when it was refused or says nothing. */
function readEntry(entry: Entry, section: string, row: Option<unknown>, context: Interpretation): unknown {
  const base = { line: entry.line, section, key: entry.key } as const;
  const refuse = (message: string, value?: string) =>
    context.problems.add({
      ...base,
      severity: 'error',
      lenient: row.strict !== true,
      message,
      value: row.secret || value === '' ? undefined : value,
      allowed: row.type.allowed,
    });
  let shown: string | undefined;
  try {
    const { value, decoded } = entry.value(row.type.expands === true, context.environment);
    shown = typeof value === 'object' ? value.join(',') : String(value);
    if (!entry.equals && row.type.expands !== true) return refuse('there is no = after the key', shown);
    if (decoded?.warning) context.problems.add({ ...base, severity: 'warning', message: decoded.warning });
    if (decoded?.problem) return refuse(decoded.problem, shown);
    if (value === '') return undefined;
    return row.type.read(value);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    const near = error.suggestion === undefined ? '' : `; did you mean ${error.suggestion}?`;
    return refuse(`${error.message}${near}`, shown);
  }
}

/** Reads the entries of a section with a table. Everything wrong goes to `context.problems`. */
export function interpretSection(section: Section, table: OptionTable, context: Interpretation): GivenValues {
  const given = new Map<string, GivenValue>();
  const seen = new Map<string, number | undefined>();
  const name = section.name ?? '';
  for (const entry of section.entries) {
    const row = findOption(table, entry.key);
    if (row === undefined) {
      context.problems.add(unknownKey(entry, name, table, context));
      continue;
    }
    if (seen.has(entry.key)) {
      const first = seen.get(entry.key);
      context.problems.add({
        severity: 'warning',
        line: entry.line,
        section: name,
        key: entry.key,
        message: `the key stands ${first === undefined ? 'twice' : `on line ${first} too`}; this one is used`,
      });
    }
    seen.set(entry.key, entry.line);
    const value = readEntry(entry, name, row, context);
    if (value === undefined) given.delete(entry.key);
    else given.set(entry.key, { value, line: entry.line });
  }
  return given;
}

/** Adds the defaults to the values that a section sets, in the order of the table. */
export function withDefaults(
  given: GivenValues,
  table: OptionTable,
  environment: Environment,
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  const uid = process.getuid?.() ?? 0;
  for (const [key, row] of Object.entries(table)) {
    const value = given.get(key);
    settings[key] = value === undefined ? defaultOf(row, { environment, uid, settings }) : value.value;
  }
  return settings;
}

/** Tells the required keys that a section lacks. */
export function checkRequired(section: Section, given: GivenValues, table: OptionTable, problems: ProblemList): void {
  const written = new Set(section.entries.map((entry) => entry.key));
  for (const [key, row] of Object.entries(table)) {
    if (!row.required || given.has(key)) continue;
    const entry = section.entries.findLast((candidate) => candidate.key === key);
    problems.add({
      severity: 'error',
      line: entry?.line ?? section.line,
      section: section.name ?? undefined,
      key,
      message: written.has(key)
        ? 'the required key has no usable value'
        : `the required key is missing in [${section.name}]`,
      allowed: row.type.allowed,
    });
  }
}
