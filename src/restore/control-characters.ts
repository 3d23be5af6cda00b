/** Whether a text has a character that must not stand in a setting: below space, or DEL. */
export function hasControlCharacter(text: string): boolean {
  for (const character of text) if (character < ' ' || character === '\x7f') return true;
  return false;
}
