import { compareKeys, type JsonObject, type JsonValue, numberText, Real } from './value.js';

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
};

/**
 * Writes a document as pgmoneta (C) does: compact, keys ascending by bytes, the five escapes its reader knows,
 * `null` for an empty string, `{}` for an empty array, reals with six decimals.
 */
export function writeJson(value: JsonValue): string {
  const parts: string[] = [];
  append(value, parts);
  return parts.join('');
}

function append(value: JsonValue, parts: string[]): void {
  if (value === null || value === '') parts.push('null');
  else if (typeof value === 'string') parts.push(quote(value));
  else if (typeof value === 'boolean') parts.push(value ? 'true' : 'false');
  else if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Real)
    parts.push(numberText(value));
  else if (isArray(value)) appendArray(value, parts);
  else appendObject(value, parts);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function appendArray(values: readonly JsonValue[], parts: string[]): void {
  if (values.length === 0) {
    parts.push('{}');
    return;
  }
  values.forEach((value, position) => {
    parts.push(position === 0 ? '[' : ',');
    append(value, parts);
  });
  parts.push(']');
}

function appendObject(object: JsonObject, parts: string[]): void {
  parts.push('{');
  let first = true;
  const entries = Object.entries(object).map(([key, value]) => [withoutZero(key), value] as const);
  for (const [key, value] of entries.sort(([left], [right]) => compareKeys(left, right))) {
    if (value === undefined || key === '') continue;
    if (!first) parts.push(',');
    first = false;
    parts.push(quote(key), ':');
    append(value, parts);
  }
  parts.push('}');
}

/** The peer's strings end at a zero byte; a replacement character is the honest form of one. */
function withoutZero(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

function quote(text: string): string {
  return `"${withoutZero(text).replace(/["\\\n\t\r]/g, (character) => ESCAPES[character] as string)}"`;
}
