/**
 * `COMMENTS` of `backup.info`: `key|value,key|value`. pgmoneta 0.21 cannot hold a comma, a bar, an equals sign or a
 * line break in it. Those are written as in a URL (`%2C`), which 0.21 reads, shows and keeps as the text that it is.
 */
import { PgmonetaError } from '../errors/index.js';

/** Notes of an operator on a backup, by key, in the order in which they were added. */
export type Comments = ReadonlyMap<string, string>;

/** Bytes that pgmoneta 0.21 reads; a longer text would do it harm. */
export const COMMENTS_LIMIT = 2047;

/** A percent sign only where it would be read back as an escape. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
const UNSAFE = /[\u0000-\u001f\u007f,|=]|%(?=[01][0-9A-F]|7F|25|2C|7C|3D)/g;
/** Only what is written above is read back: `50%` and `%41` in the notes of 0.21 stay what they are. */
const ESCAPED = /%(?:[01][0-9A-F]|7F|25|2C|7C|3D)/g;

/** Reads `COMMENTS`, whoever wrote it; parts without a key are passed over, of a repeated key the last one counts. */
export function readComments(text: string): Comments {
  const comments = new Map<string, string>();
  for (const item of text.split(',')) {
    const bar = item.indexOf('|');
    const key = decode(bar < 0 ? item : item.slice(0, bar));
    if (key !== '') comments.set(key, bar < 0 ? '' : decode(item.slice(bar + 1)));
  }
  return comments;
}

/**
 * Writes `COMMENTS`.
 * @throws PgmonetaError ANNOTATE_FAILED when it is longer than 0.21 can read: nothing is cut off
 */
export function writeComments(comments: Comments): string {
  const text = [...comments].map(([key, value]) => `${encode(key)}|${encode(value)}`).join(',');
  const size = Buffer.byteLength(text);
  if (size > COMMENTS_LIMIT) {
    throw new PgmonetaError(
      'ANNOTATE_FAILED',
      `the comments of the backup would take ${size} bytes in backup.info, and at most ${COMMENTS_LIMIT} are possible`,
      { hint: 'shorten the comment, or remove another one with: annotate <server> <identifier> remove <key>' },
    );
  }
  return text;
}

function encode(text: string): string {
  // Through UTF-8 and back: half a character, which a file cannot hold, becomes the sign for it.
  return Buffer.from(text)
    .toString()
    .replace(UNSAFE, (character) => {
      const code = character.charCodeAt(0).toString(16).toUpperCase();
      return `%${code.padStart(2, '0')}`;
    });
}

function decode(text: string): string {
  return text.replace(ESCAPED, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}
