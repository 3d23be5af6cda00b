import { PgmonetaError } from '../errors/index.js';

declare const lsnBrand: unique symbol;

/** A position in the WAL: bytes since its beginning, 0 to 2^64-1. Plain bigint arithmetic and comparison work. */
export type Lsn = bigint & { readonly [lsnBrand]: true };

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;
const LIMIT = 1n << 64n;

/** `0/0`, PostgreSQL's invalid position. */
export const ZERO_LSN = 0n as Lsn;

/**
 * Reads `%X/%X`, for example `0/2000028`.
 * @throws PgmonetaError POSTGRES_PROTOCOL when the text has another form
 */
export function parseLsn(text: string): Lsn {
  const parts = TEXT.exec(text);
  if (parts === null) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `"${text}" is not a WAL position`, {
      hint: 'a WAL position is two hexadecimal numbers with a slash between them, for example 0/2000028',
    });
  }
  return ((BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`)) as Lsn;
}

/** Whether a text is a WAL position of the form `%X/%X`. */
export function isLsn(text: string): boolean {
  return TEXT.test(text);
}

/** Writes `%X/%X` as PostgreSQL does: upper case, no leading zeros. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** A number as a position. @throws PgmonetaError POSTGRES_PROTOCOL outside of 0 to 2^64-1 */
export function toLsn(value: bigint): Lsn {
  if (value < 0n || value >= LIMIT) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `${value} is outside of the range of WAL positions`);
  }
  return value as Lsn;
}

/** -1, 0 or 1, for sorting ascending. */
export function compareLsn(left: bigint, right: bigint): -1 | 0 | 1 {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** The position `bytes` after (or, negative, before) another. */
export function addLsn(lsn: bigint, bytes: bigint | number): Lsn {
  return toLsn(lsn + BigInt(bytes));
}
