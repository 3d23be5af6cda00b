import { decodeOrdinary, decodePath } from './decode.js';

/** Writes the value of an ordinary key so that `decodeOrdinary` gives it back: quoted only where it must be. */
export function encodeOrdinary(value: string): string {
  if (decodeOrdinary(value).text === value && !/[#;]/.test(value)) return value;
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

/** Writes the value of a path key so that `decodePath` gives it back; a `$` in it stays a `$`. */
export function encodePath(value: string): string {
  const bare = decodePath(value, {});
  if (bare.text === value && bare.problem === undefined) return value;
  if (!value.includes("'")) return `'${value}'`;
  return `"${value.replace(/[\\"$]/g, '\\$&')}"`;
}
