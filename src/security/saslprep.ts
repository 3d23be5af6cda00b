import { createRequire } from 'node:module';

type Saslprep = (text: string) => string;

// The tables are large and most passwords are ASCII, which SASLprep leaves alone: loaded on first need.
let library: Saslprep | undefined;
function saslprepLibrary(): Saslprep {
  library ??= createRequire(import.meta.url)('@mongodb-js/saslprep') as Saslprep;
  return library;
}

/**
 * Prepares a password for SCRAM as PostgreSQL does: SASLprep (RFC 4013), and the bytes as they are when the text is
 * not valid for it (prohibited or unassigned characters, mixed directions, nothing left).
 * @returns UTF-8 bytes
 */
export function preparePassword(password: string): Buffer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range
  if (/^[\u0000-\u007f]*$/.test(password)) return Buffer.from(password, 'utf8');
  let prepared: string;
  try {
    prepared = saslprepLibrary()(password);
  } catch {
    prepared = '';
  }
  return Buffer.from(prepared === '' ? password : prepared, 'utf8');
}
