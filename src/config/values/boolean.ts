import { closest } from '../text/suggest.js';
import { scalarText, ValueError, type ValueType } from './value-type.js';

const YES = new Set(['true', 'on', 'yes', '1']);
const NO = new Set(['false', 'off', 'no', '0']);

function readBoolean(text: string): boolean {
  const word = text.toLowerCase();
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  throw new ValueError('this is neither yes nor no', closest(word, [...YES, ...NO]));
}

/** Yes or no, in any of the usual words, in any case. */
export const boolean: ValueType<boolean> = {
  name: 'boolean',
  allowed: 'on, true, yes, 1 or off, false, no, 0',
  words: ['on', 'off'],
  read: (raw) => readBoolean(scalarText(raw)),
  write: (value) => (value ? 'on' : 'off'),
  document: (value) => value,
};

/** The same, shown as 1 or 0 in `conf get` (the S3 and Azure switches of the C program are integers there). */
export const booleanAsNumber: ValueType<boolean> = { ...boolean, document: (value) => (value ? 1 : 0) };

/** Yes or no, shown as yes/no with the codes 1/2: `create_slot`. */
export const yesNo: ValueType<boolean> = {
  ...boolean,
  write: (value) => (value ? 'yes' : 'no'),
  document: (value) => (value ? { value: 1, string_value: 'yes' } : { value: 2, string_value: 'no' }),
};

/** Yes or no as the bare codes 1/2: `create_slot` of a server. */
export const yesNoCode: ValueType<boolean> = { ...yesNo, document: (value) => (value ? 1 : 2) };

/** Yes, no, or `-1` for what the main section says: `progress` of a server. */
export const inheritableBoolean: ValueType<boolean | null> = {
  ...boolean,
  allowed: 'on, true, yes, 1 or off, false, no, 0, or -1 for the value of [pgmoneta]',
  words: ['on', 'off', '-1'],
  read(raw) {
    const text = scalarText(raw);
    return text === '-1' ? null : readBoolean(text);
  },
  write: (value) => (value === null ? '-1' : boolean.write(value)),
  document: (value) => value,
};
