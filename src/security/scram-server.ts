import { randomBytes } from 'node:crypto';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { decodeBase64 } from './base64.js';
import { equalInConstantTime, hmac, type ScramVerifier, sha256, xor } from './scram-keys.js';
import { attributes, isNonce, messageText, ScramMessageError, unescapeName } from './scram-message.js';

/** What a server needs to check a login. */
export interface ScramServerOptions {
  /**
   * What is kept of the user's password; `mockVerifier` for an unknown user, so that the dialogue looks the same.
   * @param user name in the client's message, "" when the name travels elsewhere
   */
  readonly verifier: (user: string) => ScramVerifier;
  /** Hash of the certificate that the client sees (`tls-server-end-point`), when PLUS is offered. */
  readonly channelBinding?: Buffer | undefined;
  /** Code of the errors; the default is MANAGEMENT_AUTHENTICATION. */
  readonly errorCode?: ErrorCode;
  /** The server's part of the nonce for test vectors; the default is 24 characters from 18 random bytes. */
  readonly nonce?: string;
}

interface Dialogue {
  readonly verifier: ScramVerifier;
  readonly nonce: string;
  readonly expectedBinding: Buffer;
  /** `client-first-message-bare,server-first-message`. */
  readonly transcript: string;
}

/**
 * The server's side of SCRAM-SHA-256 and -PLUS, without any transport: `first(clientFirst)`, then
 * `final(clientFinal)`, whose result means that the client knows the password. Every failure after the first message
 * is told in the same words.
 */
export class ScramServer {
  readonly #options: ScramServerOptions;
  #dialogue: Dialogue | undefined;

  constructor(options: ScramServerOptions) {
    this.#options = options;
  }

  /** server-first-message. @throws PgmonetaError when the client's message cannot be understood */
  first(clientFirst: Uint8Array): Buffer {
    return this.#guard(() => {
      const text = messageText(clientFirst);
      const match = /^(?:[ny]|p=([A-Za-z0-9.-]+)),(?:a=[^,]*)?,/.exec(text);
      if (match === null) throw new ScramMessageError('its header cannot be understood');
      const header = match[0];
      const bare = text.slice(header.length);
      const [name = '', clientNonce = ''] = attributes(bare, ['n', 'r']);
      if (!isNonce(clientNonce)) throw new ScramMessageError('its nonce is not printable ASCII');
      const expectedBinding = this.#expectedBinding(header, match[1]);
      const verifier = this.#options.verifier(unescapeName(name));
      const nonce = clientNonce + (this.#options.nonce ?? randomBytes(18).toString('base64'));
      const reply = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`;
      this.#dialogue = { verifier, nonce, expectedBinding, transcript: `${bare},${reply}` };
      return Buffer.from(reply);
    });
  }

  /** server-final-message. @throws PgmonetaError when the proof is wrong: the password, nonce or channel differs */
  final(clientFinal: Uint8Array): Buffer {
    return this.#guard(() => {
      const dialogue = this.#dialogue;
      this.#dialogue = undefined;
      if (dialogue === undefined) throw new ScramMessageError('it comes without a first message');
      const text = messageText(clientFinal);
      const cut = text.lastIndexOf(',p=');
      if (cut < 0) throw new ScramMessageError('it has no proof');
      const withoutProof = text.slice(0, cut);
      const [binding = '', nonce = ''] = attributes(withoutProof, ['c', 'r']);
      const proof = decodeBase64(text.slice(cut + 3));
      const { verifier } = dialogue;
      const message = `${dialogue.transcript},${withoutProof}`;
      const bound = decodeBase64(binding);
      const sameChannel = bound !== null && equalInConstantTime(bound, dialogue.expectedBinding);
      const sameNonce = equalInConstantTime(Buffer.from(nonce), Buffer.from(dialogue.nonce));
      const clientKey = proof?.length === 32 ? xor(proof, hmac(verifier.storedKey, message)) : Buffer.alloc(32);
      const sameKey = equalInConstantTime(sha256(clientKey), verifier.storedKey);
      if (!sameChannel || !sameNonce || !sameKey) throw new ScramMessageError('its proof is wrong');
      return Buffer.from(`v=${hmac(verifier.serverKey, message).toString('base64')}`);
    });
  }

  #expectedBinding(header: string, bindingName: string | undefined): Buffer {
    const { channelBinding } = this.#options;
    if (bindingName === undefined) {
      // The client says that it could bind and was not offered to, but we did: somebody took the offer out.
      if (header.startsWith('y') && channelBinding !== undefined) {
        throw new ScramMessageError('it was not shown that channel binding is offered');
      }
      return Buffer.from(header);
    }
    if (bindingName !== 'tls-server-end-point') throw new ScramMessageError('its channel binding is not known');
    if (channelBinding === undefined) throw new ScramMessageError('it binds to a channel without TLS');
    return Buffer.concat([Buffer.from(header), channelBinding]);
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ScramMessageError)) throw error;
      const code = this.#options.errorCode ?? 'MANAGEMENT_AUTHENTICATION';
      throw new PgmonetaError(code, `the SCRAM message of the client is refused: ${error.message}`, {
        cause: error,
        hint: 'check the user name and the password',
      });
    }
  }
}
