import type { ServerFacts, Tablespace } from '../postgres/index.js';

/**
 * The directory of a tablespace in a backup: `tblspc_<name>`, as 0.21 has it. Bytes that a path component or
 * `backup.info` cannot hold are percent-encoded.
 */
export function tablespaceDirectory(name: string): string {
  const encode = (character: string): string =>
    character < ' ' || '/%\x7f'.includes(character)
      ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
      : character;
  return `tblspc_${[...name].map(encode).join('')}`;
}

/** The tablespaces that have an archive of their own: those within the data directory come with it. */
export function separateTablespaces(facts: ServerFacts): readonly Tablespace[] {
  return facts.tablespaces.filter((tablespace) => !tablespace.inPlace);
}
