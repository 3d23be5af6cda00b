/**
 * The directory of a tablespace in a backup: `tblspc_<name>`, as 0.21 has it. Bytes that a path component or
 * `backup.info` cannot hold are percent-encoded.
 */
export function tablespaceDirectory(name: string): string {
  const encode = (character: string): string =>
    character < ' ' || '/%=\x7f'.includes(character)
      ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
      : character;
  return `tblspc_${[...name].map(encode).join('')}`;
}
