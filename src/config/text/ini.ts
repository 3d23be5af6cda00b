/** A `key = value` line. */
export interface IniEntry {
  readonly key: string;
  /** Text after the `=`, trimmed, with its quotes and comment: what it means depends on the type of the key. */
  readonly raw: string;
  /** Whether there was a `=`; path keys of pgmoneta (C) may do without. */
  readonly equals: boolean;
  /** Line number, from 1. */
  readonly line: number;
}

/** A section with its entries in order; `name` is `null` for what stands before the first header. */
export interface IniSection {
  readonly name: string | null;
  readonly line: number;
  readonly entries: IniEntry[];
}

/** A line that is neither blank, comment, header nor entry. */
export interface IniProblem {
  readonly line: number;
  readonly text: string;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

/** What a text says, without any judgement of keys and values. */
export interface IniDocument {
  readonly sections: readonly IniSection[];
  readonly problems: readonly IniProblem[];
}

/** Splits a text into lines; LF, CR LF and a lone CR end a line. A byte order mark is dropped. */
export function splitLines(text: string): string[] {
  return text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
}

/** Whether a trimmed line says nothing. */
export function isBlankOrComment(trimmed: string): boolean {
  return trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith(';');
}

/** Reads a section header: its name, or what is wrong; `null` when the line is no header. */
export function parseHeader(trimmed: string): { name: string; rest: string } | { problem: string } | null {
  if (!trimmed.startsWith('[')) return null;
  const end = trimmed.indexOf(']');
  if (end < 0) return { problem: 'the section header has no closing ]' };
  const name = trimmed.slice(1, end).trim();
  if (name === '') return { problem: 'the section has no name' };
  const rest = trimmed.slice(end + 1).trim();
  return { name, rest: isBlankOrComment(rest) ? '' : rest };
}

/** Reads an entry: the key ends at the first blank or `=`. `null` when there is no key. */
export function parseEntry(trimmed: string, line: number): IniEntry | null {
  const match = /^["']?([^\s="']+)["']?[ \t]*(=?)(.*)$/su.exec(trimmed);
  if (match === null) return null;
  return { key: match[1] as string, raw: (match[3] as string).trim(), equals: match[2] === '=', line };
}

/**
 * Reads the INI dialect of `pgmoneta.conf`: sections in brackets, `key = value` lines, `#` and `;` comments.
 * Pure: no I/O, no knowledge of keys.
 */
export function parseIni(text: string): IniDocument {
  const sections: IniSection[] = [];
  const problems: IniProblem[] = [];
  let current: IniSection | null = null;
  for (const [index, whole] of splitLines(text).entries()) {
    const line = index + 1;
    const trimmed = whole.trim();
    if (isBlankOrComment(trimmed)) continue;
    const header = parseHeader(trimmed);
    if (header !== null) {
      if ('problem' in header) {
        problems.push({ line, text: trimmed, message: header.problem, severity: 'error' });
        continue;
      }
      if (header.rest !== '') {
        problems.push({ line, text: trimmed, message: 'the text after ] is ignored', severity: 'warning' });
      }
      current = { name: header.name, line, entries: [] };
      sections.push(current);
      continue;
    }
    const entry = parseEntry(trimmed, line);
    if (entry === null) {
      problems.push({ line, text: trimmed, message: 'the line has no key', severity: 'error' });
      continue;
    }
    if (current === null) {
      current = { name: null, line, entries: [] };
      sections.push(current);
    }
    current.entries.push(entry);
  }
  return { sections, problems };
}
