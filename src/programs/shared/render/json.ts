import {
  compareKeys,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  numberText,
  Real,
} from '../../../management/json/index.js';

/**
 * A document as JSON, indented by two blanks, keys ascending. As pgmoneta (C) prints it, but valid whatever the texts
 * hold: `{}` for empty arrays, `null` for empty texts, six decimals for reals.
 */
export function renderJson(document: JsonObject): string {
  return `${format(document, '')}\n`;
}

function format(value: JsonValue, indent: string): string {
  if (value === null || value === '') return 'null';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Real) return numberText(value);
  const inner = `${indent}  `;
  if (isJsonObject(value)) {
    const lines = Object.keys(value)
      .sort(compareKeys)
      .map((key) => `${inner}${JSON.stringify(key)}: ${format(value[key] ?? null, inner)}`);
    return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`;
  }
  const entries = value.map((entry) => `${inner}${format(entry, inner)}`);
  return entries.length === 0 ? '{}' : `[\n${entries.join(',\n')}\n${indent}]`;
}
