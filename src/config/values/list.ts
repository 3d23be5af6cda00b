import { type RawValue, scalarText, ValueError, type ValueType } from './value-type.js';

/** Facts of a list type. */
export interface ListRules {
  readonly name: string;
  readonly allowed: string;
  readonly separator: ',' | '|';
  /** Kind of the elements; without it they are text. */
  readonly element?: ValueType<string>;
}

function elementsOf(raw: RawValue, separator: string): string[] {
  if (typeof raw === 'object') return raw.map((element) => scalarText(element));
  const value = String(raw);
  return value.trim() === '' ? [] : value.split(separator).map((element) => element.trim());
}

/** Lists: elements joined by a separator in INI, arrays in TOML. Empty elements at the end of a comma list are dropped. */
export function list(rules: ListRules): ValueType<readonly string[]> {
  return {
    name: rules.name,
    allowed: rules.allowed,
    ...(rules.element?.words ? { words: rules.element.words } : {}),
    read(raw) {
      const elements = elementsOf(raw, rules.separator);
      // The place of an element matters in '|' lists (it belongs to the standby of that number); not in ',' lists.
      const kept = rules.separator === ',' ? elements.filter((element) => element !== '') : elements;
      for (const element of kept) {
        if (element.includes(rules.separator)) throw new ValueError(`an element has "${rules.separator}" in it`);
      }
      const { element } = rules;
      return element === undefined ? kept : [...new Set(kept.map((value) => element.read(value)))];
    },
    write: (value) => value.join(rules.separator),
    document: (value) => value.join(rules.separator),
  };
}
