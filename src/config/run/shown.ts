import type { Option, OptionTable } from '../option.js';
import type { MainSettings, ServerSettings } from '../options/index.js';
import type { Json } from '../values/value-type.js';

/** What stands in the place of a secret. */
export const MASK = '********';

/** A value as text for replies and logs: "" when unset, never a secret. */
export function shownText(row: Option<unknown>, value: unknown): string {
  if (value === null || value === undefined) return row.unset === undefined ? '' : shownUnset(row.unset);
  return row.secret ? MASK : row.type.write(value);
}

function shownUnset(unset: Json): string {
  return typeof unset === 'object' && unset !== null && 'string_value' in unset
    ? String(unset.string_value)
    : String(unset);
}

/** A value as JSON for `conf get`: "" when unset, never a secret. */
export function shownJson(row: Option<unknown>, value: unknown): Json {
  if (value === null || value === undefined) return row.unset ?? '';
  return row.secret ? MASK : row.type.document(value);
}

/** Whether two values of a key are the same, secrets included. */
export function sameValue(row: Option<unknown>, a: unknown, b: unknown): boolean {
  if (a === null || b === null) return a === b;
  return row.type.write(a) === row.type.write(b);
}

/** The keys of a table with their rows and the values of some settings. */
export function* rowsOf(
  table: OptionTable,
  settings: MainSettings | ServerSettings,
): Generator<{ key: string; row: Option<unknown>; value: unknown }> {
  const values = settings as Readonly<Record<string, unknown>>;
  for (const [key, row] of Object.entries(table)) yield { key, row, value: values[key] };
}
