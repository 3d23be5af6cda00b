import { scalarText, ValueError, type ValueType } from './value-type.js';

// Control characters never belong into a name or path; they would also tear apart the lines they are logged on.
// biome-ignore lint/suspicious/noControlCharactersInRegex: this is the check for them
const CONTROL = /[\u0000-\u001f\u007f]/;

/** What a text setting must look like beyond being text. */
export interface TextRules {
  readonly name?: string;
  readonly allowed?: string;
  /** Largest size in bytes of UTF-8. */
  readonly maxBytes?: number;
  readonly pattern?: RegExp;
}

/** Free text of limited size without control characters. */
export function text(rules: TextRules = {}): ValueType<string> {
  const maxBytes = rules.maxBytes ?? 4096;
  return {
    name: rules.name ?? 'text',
    allowed: rules.allowed ?? `text of at most ${maxBytes} bytes`,
    read(raw) {
      const value = scalarText(raw);
      if (Buffer.byteLength(value) > maxBytes) throw new ValueError(`the value is longer than ${maxBytes} bytes`);
      if (CONTROL.test(value)) throw new ValueError('the value has control characters');
      if (rules.pattern && !rules.pattern.test(value))
        throw new ValueError(`this is not ${rules.allowed ?? 'allowed'}`);
      return value;
    },
    write: (value) => value,
    document: (value) => value,
  };
}

/** A path: `$NAME` and `${NAME}` are replaced from the environment, quotes and backslashes work as in a shell. */
export const path: ValueType<string> = {
  ...text({ name: 'path', allowed: 'a path; $NAME stands for an environment variable' }),
  expands: true,
};

/** A path taken as it stands. */
export const plainPath: ValueType<string> = text({ name: 'path', allowed: 'a path' });

/** A physical replication slot. */
export const slotName: ValueType<string> = text({
  name: 'slot',
  allowed: 'a slot name: 1 to 63 lower-case letters, digits and underscores',
  pattern: /^[a-z0-9_]{1,63}$/,
});
