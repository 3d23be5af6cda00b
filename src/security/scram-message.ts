/** Largest SCRAM message that is looked at, in bytes. */
export const MAX_MESSAGE = 16 * 1024;

/** Why a message is refused: the end of a sentence. */
export class ScramMessageError extends Error {}

/** The text of a message. @throws ScramMessageError */
export function messageText(message: Uint8Array): string {
  if (message.length > MAX_MESSAGE) throw new ScramMessageError(`the message is longer than ${MAX_MESSAGE} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message);
  } catch {
    throw new ScramMessageError('the message is not UTF-8');
  }
}

/**
 * Takes the attributes of a message in the order that RFC 5802 fixes; what follows them are extensions, ignored
 * unless mandatory.
 * @throws ScramMessageError
 */
export function attributes(text: string, names: readonly string[]): string[] {
  const parts = text.split(',');
  if (parts[0]?.startsWith('m=')) throw new ScramMessageError('it asks for an extension that is not known');
  return names.map((name, index) => {
    const part = parts[index];
    if (part === undefined || !part.startsWith(`${name}=`))
      throw new ScramMessageError(`it has no ${name}= where one belongs`);
    return part.slice(2);
  });
}

/** Whether a text can be a nonce: printable ASCII without a comma. */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

/** A user name as SCRAM writes it. */
export function escapeName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

/** The user name that a SCRAM text stands for. @throws ScramMessageError for another `=` */
export function unescapeName(text: string): string {
  if (/=(?!3D|2C)/.test(text)) throw new ScramMessageError('the user name has a stray =');
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}
