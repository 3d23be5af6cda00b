import {
  compareKeys,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  numberText,
  Real,
} from '../../../management/json/index.js';

/**
 * A document as indented `Key: value` lines: keys ascending, two blanks per level, `- ` before the entries of an
 * array, `{}` for what is empty, nothing after the blank for null and the empty text. Nothing is quoted.
 */
export function renderText(document: JsonObject): string {
  const lines: string[] = [];
  objectLines(document, '', '', lines);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** A single value as `conf get <key>` prints it. */
export function renderValue(value: JsonValue): string {
  if (isJsonObject(value)) return Object.keys(value).length === 0 ? '{}\n' : renderText(value);
  if (!isArray(value)) return `${scalar(value)}\n`;
  const lines: string[] = [];
  arrayLines(value, '', '', lines);
  return value.length === 0 ? '{}\n' : `${lines.join('\n')}\n`;
}

/** `first` stands before the first line (the `- ` of an array entry), `indent` before all others. */
function objectLines(object: JsonObject, first: string, indent: string, lines: string[]): void {
  let prefix = first;
  for (const key of Object.keys(object).sort(compareKeys)) {
    const value = object[key] ?? null;
    if (isEmpty(value)) {
      lines.push(`${prefix}${key}: {}`);
    } else if (isJsonObject(value)) {
      lines.push(`${prefix}${key}:`);
      objectLines(value, `${indent}  `, `${indent}  `, lines);
    } else if (isArray(value)) {
      lines.push(`${prefix}${key}:`);
      arrayLines(value, `${indent}  `, `${indent}  `, lines);
    } else {
      lines.push(`${prefix}${key}: ${scalar(value)}`);
    }
    prefix = indent;
  }
}

function arrayLines(values: readonly JsonValue[], first: string, indent: string, lines: string[]): void {
  let prefix = first;
  for (const value of values) {
    if (isEmpty(value)) lines.push(`${prefix}- {}`);
    else if (isJsonObject(value)) objectLines(value, `${prefix}- `, `${indent}  `, lines);
    else if (isArray(value)) arrayLines(value, `${prefix}- `, `${indent}  `, lines);
    else lines.push(`${prefix}- ${scalar(value)}`);
    prefix = indent;
  }
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isEmpty(value: JsonValue): boolean {
  if (isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function scalar(value: JsonValue): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Real) return numberText(value);
  return String(value);
}
