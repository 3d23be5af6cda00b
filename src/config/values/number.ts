import { type RawValue, scalarText, ValueError, type ValueType } from './value-type.js';

function wholeNumber(raw: RawValue): number {
  const text = scalarText(raw);
  if (!/^[+-]?[0-9]+$/.test(text)) throw new ValueError('this is not a whole number');
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new ValueError('the number is too large');
  return value === 0 ? 0 : value;
}

/** Whole numbers within bounds (both included). */
export function integer(min: number, max: number, name = 'integer'): ValueType<number> {
  const allowed =
    max === Number.MAX_SAFE_INTEGER ? `a whole number, at least ${min}` : `a whole number, ${min} to ${max}`;
  return {
    name,
    allowed,
    read(raw) {
      const value = wholeNumber(raw);
      if (value < min) throw new ValueError(`the number is below ${min}`);
      if (value > max) throw new ValueError(`the number is above ${max}`);
      return value;
    },
    write: String,
    document: (value) => value,
  };
}

/** A TCP port; 0 means off or the default of the protocol. */
export const port = integer(0, 65535, 'port');

/** A file mode in octal digits, for example `0660`; the value is the number. */
export const fileMode: ValueType<number> = {
  name: 'file mode',
  allowed: 'three or four octal digits, such as 0600 or 0660',
  read(raw) {
    const text = scalarText(raw);
    if (!/^0?[0-7]{3}$/.test(text)) throw new ValueError('this is not a file mode');
    return Number.parseInt(text, 8);
  },
  write: (value) => value.toString(8).padStart(4, '0'),
  document: (value) => value.toString(8).padStart(4, '0'),
};
