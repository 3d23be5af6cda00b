import { isBlankOrComment, parseEntry, parseHeader } from './ini.js';

/** A line with its end, so that putting all together gives the text back. */
interface Line {
  readonly content: string;
  readonly end: string;
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (const match of text.matchAll(/([^\r\n]*)(\r\n|\n|\r|$)/g)) {
    const content = match[1] as string;
    const end = match[2] as string;
    if (content === '' && end === '') break;
    lines.push({ content, end });
  }
  return lines;
}

/** Where the comment of a raw value starts, the blanks before it included; the length when there is none. */
function commentStart(raw: string, shellLike: boolean): number {
  let quote = '';
  const opens = (index: number) => shellLike || raw.slice(0, index).trim() === '';
  for (let index = 0; index < raw.length; index++) {
    const character = raw[index] as string;
    if (character === '\\' && quote !== "'" && (shellLike || quote === '"')) index += 1;
    else if (character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'") && opens(index)) quote = character;
    else if (quote === '' && (character === '#' || character === ';')) return raw.slice(0, index).trimEnd().length;
  }
  return raw.length;
}

function replaceValue(line: Line, value: string, shellLike: boolean): Line {
  const match = /^(\s*["']?[^\s="']+["']?)([ \t]*=[ \t]*|[ \t]+|)(.*)$/su.exec(line.content);
  if (match === null) return line;
  const [, key = '', separator = '', raw = ''] = match;
  const equals = separator.includes('=') ? separator : ' = ';
  return { content: `${key}${equals}${value}${raw.slice(commentStart(raw, shellLike))}`, end: line.end };
}

interface Place {
  /** Index of the last line that sets the key. */
  readonly found: number | null;
  /** Index of the last line of the section that says something. */
  readonly last: number;
}

function findPlace(lines: readonly Line[], section: string, key: string): Place | null {
  let inside = false;
  let last: number | null = null;
  let found: number | null = null;
  for (const [index, { content }] of lines.entries()) {
    const trimmed = content.replace(/^\ufeff/, '').trim();
    if (isBlankOrComment(trimmed)) continue;
    const header = parseHeader(trimmed);
    if (header !== null) {
      if ('problem' in header) continue;
      inside = header.name === section;
      if (inside) last = index;
      continue;
    }
    if (!inside) continue;
    last = index;
    if (parseEntry(trimmed, index + 1)?.key === key) found = index;
  }
  return last === null ? null : { found, last };
}

/**
 * Sets a key in the text of an INI file. Every other line, and the comment on the line itself, stays as it is; a key
 * that stands nowhere goes after the last entry of its section. Where a key stands twice, the last one counts.
 * @param value as it is to stand after the `=`, quoted if need be
 * @param shellLike whether the key is of a path type, whose quotes may stand anywhere
 * @returns `null` when the text has no such section
 */
export function setIniValue(
  text: string,
  section: string,
  key: string,
  value: string,
  shellLike: boolean,
): string | null {
  const lines = linesOf(text);
  const place = findPlace(lines, section, key);
  if (place === null) return null;
  if (place.found !== null) {
    lines[place.found] = replaceValue(lines[place.found] as Line, value, shellLike);
  } else {
    const before = lines[place.last] as Line;
    const end = before.end || '\n';
    lines[place.last] = { content: before.content, end };
    lines.splice(place.last + 1, 0, { content: `${key} = ${value}`, end });
  }
  return lines.map((line) => line.content + line.end).join('');
}
