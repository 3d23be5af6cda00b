import { type RawValue, scalarText, ValueError, type ValueType } from './value-type.js';

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

function scaled(digits: string, factor: number): number {
  const value = Number(digits) * factor;
  if (!Number.isSafeInteger(value)) throw new ValueError('the number is too large');
  return value;
}

/** Reads a duration such as `90`, `30s`, `5m`, `2h`, `7d`, `2w` into seconds. @throws ValueError */
export function parseDuration(raw: RawValue): number {
  const text = scalarText(raw).toLowerCase();
  const match = /^([0-9]+)([a-z]*)$/.exec(text);
  if (match === null) throw new ValueError('this is not a duration');
  const factor = Object.hasOwn(SECONDS, match[2] as string) ? SECONDS[match[2] as string] : undefined;
  if (factor === undefined) throw new ValueError(`"${match[2]}" is not a unit of time`);
  return scaled(match[1] as string, factor);
}

/** Reads a size such as `4096`, `64k`, `16MB`, `2 GiB` into bytes. @throws ValueError */
export function parseSize(raw: RawValue): number {
  const text = scalarText(raw).toLowerCase();
  const match = /^([0-9]+) ?([a-z]*)$/.exec(text);
  if (match === null) throw new ValueError('this is not a size');
  const unit = match[2] as string;
  const letter = unit.length > 1 ? unit.replace(/^([kmgt])(?:b|ib)$/, '$1') : unit;
  const factor = Object.hasOwn(BYTES, letter) ? BYTES[letter] : undefined;
  if (factor === undefined) throw new ValueError(`"${unit}" is not a unit of size`);
  return scaled(match[1] as string, factor);
}

/** The largest unit that divides a value exactly, as text: 86400 seconds are `1d`. */
function inLargestUnit(value: number, units: readonly (readonly [string, number])[]): string {
  if (value === 0) return '0';
  for (const [unit, factor] of units) if (value % factor === 0) return `${value / factor}${unit}`;
  return String(value);
}

/** Durations in seconds. */
export const duration: ValueType<number> = {
  name: 'duration',
  allowed: 'digits with at most one unit: s (seconds, the default), m, h, d or w',
  read: parseDuration,
  write: (value) =>
    inLargestUnit(value, [
      ['w', 604_800],
      ['d', 86_400],
      ['h', 3600],
      ['m', 60],
      ['s', 1],
    ]),
  document: (value) => ({ value, string_value: `${value}s` }),
};

const SIZE_UNITS = [
  ['T', 1024 ** 4],
  ['G', 1024 ** 3],
  ['M', 1024 ** 2],
  ['k', 1024],
] as const;

/** Sizes in bytes. */
export const size: ValueType<number> = {
  name: 'size',
  allowed:
    'digits with at most one unit: B (the default), k, M, G, T, kB, MB, GB, TB, KiB, MiB, GiB or TiB, powers of 1024',
  read: parseSize,
  write: (value) => inLargestUnit(value, SIZE_UNITS),
  document: (value) => ({ value, string_value: `${value}B` }),
};

/** Transfer rates in bytes per second; 0 means unlimited. */
export const rate: ValueType<number> = {
  name: 'rate',
  allowed: 'bytes per second, with the units of a size and an optional /s, such as 10MB or 10MB/s; 0 is unlimited',
  read(raw) {
    const text = scalarText(raw);
    return parseSize(text.replace(/\/s$/i, ''));
  },
  write: (value) => inLargestUnit(value, SIZE_UNITS),
  document: (value) => value,
};

/** A rate of a server, where `-1` is the value of the main section (`null`). */
export const inheritableRate: ValueType<number | null> = {
  name: 'rate',
  allowed: `${rate.allowed}, or -1 for the value of [pgmoneta]`,
  read: (raw) => (scalarText(raw) === '-1' ? null : rate.read(raw)),
  write: (value) => (value === null ? '-1' : rate.write(value)),
  document: (value) => value,
};
