/**
 * Decodes standard base64 with padding, strictly: no blanks, no other alphabet, no stray bits.
 * @returns `null` when the text is not base64
 */
export function decodeBase64(text: string): Buffer | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
