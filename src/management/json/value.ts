/** A value of the management dialect: JSON, with integers of 64 bits and reals kept apart from integers. */
export type JsonValue = null | boolean | number | bigint | string | Real | readonly JsonValue[] | JsonObject;

/** An object of the management dialect. Key order is not kept on the wire: the writer sorts. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/**
 * A real number. The wire prints reals with six decimals and integers with none, and JavaScript cannot tell 0 from
 * 0.0; a whole number that is documented as real (`Elapsed`) is therefore wrapped.
 */
export class Real {
  constructor(readonly value: number) {}

  /** The wire form, C's `%f`. Infinite and undefined numbers have none and become zero. */
  toString(): string {
    return Number.isFinite(this.value) ? fixedSix(this.value) : '0.000000';
  }
}

/** Six decimals without an exponent, whatever the size. */
function fixedSix(value: number): string {
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(Math.trunc(value))}.000000`;
}

/** Whether a value is an object of the dialect, and neither array nor real. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Real);
}

/** Orders keys as C's strcmp does: by the bytes of their UTF-8 form. */
export function compareKeys(left: string, right: string): number {
  if (left === right) return 0;
  // Only surrogate pairs order differently in UTF-16 than in UTF-8.
  if (/[\ud800-\udfff]/.test(left + right)) return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return left < right ? -1 : 1;
}

/** Text of a number as the dialect prints it: integers bare, everything else with six decimals. */
export function numberText(value: number | bigint | Real): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Real) return value.toString();
  if (Number.isInteger(value)) return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString();
  return new Real(value).toString();
}
