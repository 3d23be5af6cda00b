import { ProblemList } from './problem.js';
import { readTomlDocument } from './toml.js';

function tableOf(line: string): string | null {
  const match = /^\s*\[\s*(?:"([^"\\]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*\]\s*(?:#.*)?$/.exec(line);
  return match === null ? null : ((match[1] ?? match[2] ?? match[3]) as string);
}

function facts(text: string): Map<string, string> | null {
  const problems = new ProblemList('text');
  const all = new Map<string, string>();
  try {
    for (const section of readTomlDocument(text, problems)) {
      for (const entry of section.entries) {
        all.set(`${section.name}\n${entry.key}`, JSON.stringify(entry.value(false, {}).value));
      }
    }
  } catch {
    return null;
  }
  return problems.errors.length > 0 ? null : all;
}

function changesOnly(before: string, after: string, place: string, value: string): boolean {
  const old = facts(before);
  const fresh = facts(after);
  if (old === null || fresh === null || fresh.get(place) !== JSON.stringify(value)) return false;
  old.set(place, JSON.stringify(value));
  return old.size === fresh.size && [...old].every(([name, text]) => fresh.get(name) === text);
}

/** The comment at the end of a line, with its `#`; empty when there is none. Looked for byte by byte: linear. */
function commentOf(line: string): string {
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    if (quote === '' && character === '#') return line.slice(at).trim();
    if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (quote === '"' && character === '\\') at++;
    else if (character === quote) quote = '';
  }
  return '';
}

/**
 * Sets a key in the text of a TOML file, as a string. Every other line and the comment on the line stay.
 * @returns `null` when there is no such table, or the key is written in a way that cannot be edited line by line
 */
export function setTomlValue(text: string, section: string, key: string, value: string): string | null {
  const lines = text.split('\n');
  const written = `${key} = ${JSON.stringify(value)}`;
  let inside = false;
  let last = -1;
  let found = -1;
  for (const [index, line] of lines.entries()) {
    if (/^\s*\[/.test(line)) inside = tableOf(line) === section;
    if (!inside || line.trim() === '') continue;
    last = index;
    if (new RegExp(`^\\s*["']?${key}["']?\\s*=`).test(line)) found = index;
  }
  if (last < 0) return null;
  if (found >= 0) {
    const comment = commentOf(lines[found] as string);
    lines[found] = comment === '' ? written : `${written} ${comment}`;
  } else {
    lines.splice(last + 1, 0, written);
  }
  const after = lines.join('\n');
  return changesOnly(text, after, `${section}\n${key}`, value) ? after : null;
}
