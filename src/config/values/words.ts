import { closest } from '../text/suggest.js';
import { scalarText, ValueError, type ValueType } from './value-type.js';

/** One word of an enumeration. */
export interface Word {
  /** Other spellings that mean the same. */
  readonly aliases?: readonly string[];
  /** Number of the word in `conf get`; words without one are shown as plain text. */
  readonly code?: number;
  /** Text in `conf get`, when it is not the word itself. */
  readonly shown?: string;
}

/** An enumeration: canonical words with their aliases, in any case. */
export function words<W extends string>(name: string, table: Readonly<Record<W, Word>>): ValueType<W> {
  const canonical = Object.keys(table) as W[];
  const byAlias = new Map<string, W>();
  for (const word of canonical) {
    byAlias.set(word, word);
    for (const alias of table[word].aliases ?? []) byAlias.set(alias, word);
  }
  return {
    name,
    allowed: canonical.join(', '),
    words: canonical,
    read(raw) {
      const word = scalarText(raw).toLowerCase();
      const found = byAlias.get(word);
      if (found === undefined) throw new ValueError('the word is not known', closest(word, [...byAlias.keys()]));
      return found;
    },
    write: (value) => value,
    document(value) {
      const { code, shown } = table[value];
      return code === undefined ? value : { value: code, string_value: shown ?? value };
    },
  };
}
