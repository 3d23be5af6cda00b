import { randomBytes } from 'node:crypto';
import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { decodeBase64 } from './base64.js';
import { equalInConstantTime, hmac, MAX_ITERATIONS, saltedPassword, sha256, xor } from './scram-keys.js';
import { attributes, escapeName, isNonce, messageText, ScramMessageError } from './scram-message.js';

/**
 * Binding to the TLS channel: `none` where the client does not support it or there is no TLS, `not-offered` where it
 * does and the server did not offer the PLUS mechanism, else the hash of the server's certificate.
 */
export type ChannelBinding =
  | { readonly type: 'none' }
  | { readonly type: 'not-offered' }
  | { readonly type: 'tls-server-end-point'; readonly data: Buffer };

/** What a client needs to log in. */
export interface ScramClientOptions {
  /** PostgreSQL takes the name from the startup message and wants it empty here. */
  readonly user?: string;
  readonly password: string;
  readonly channelBinding?: ChannelBinding | undefined;
  /** Code of the errors; the default is POSTGRES_AUTHENTICATION. */
  readonly errorCode?: ErrorCode;
  /** Nonce for test vectors; the default is 24 characters from 18 random bytes. */
  readonly nonce?: string;
}

function gs2Header(binding: ChannelBinding): string {
  if (binding.type === 'tls-server-end-point') return 'p=tls-server-end-point,,';
  return binding.type === 'not-offered' ? 'y,,' : 'n,,';
}

/**
 * The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), without any transport:
 * `first()`, then `final(serverFirst)`, then `verify(serverFinal)`. The last one proves that the server knows the
 * password too and must not be left out.
 */
export class ScramClient {
  readonly #password: string;
  readonly #binding: ChannelBinding;
  readonly #code: ErrorCode;
  readonly #nonce: string;
  readonly #bare: string;
  #serverSignature: Buffer | undefined;

  constructor(options: ScramClientOptions) {
    this.#password = options.password;
    this.#binding = options.channelBinding ?? { type: 'none' };
    this.#code = options.errorCode ?? 'POSTGRES_AUTHENTICATION';
    this.#nonce = options.nonce ?? randomBytes(18).toString('base64');
    this.#bare = `n=${escapeName(options.user ?? '')},r=${this.#nonce}`;
  }

  /** The mechanism to name to the server. */
  get mechanism(): 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS' {
    return this.#binding.type === 'tls-server-end-point' ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256';
  }

  /** client-first-message. */
  first(): Buffer {
    return Buffer.from(gs2Header(this.#binding) + this.#bare);
  }

  /**
   * client-final-message. Works through the iterations that the server asks for.
   * @throws PgmonetaError when the server's message cannot be understood or is not an answer to ours
   */
  final(serverFirst: Uint8Array): Buffer {
    return this.#guard(() => {
      const text = messageText(serverFirst);
      const [nonce = '', saltText = '', count = ''] = attributes(text, ['r', 's', 'i']);
      if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length || !isNonce(nonce)) {
        throw new ScramMessageError('its nonce does not continue ours');
      }
      const salt = decodeBase64(saltText);
      if (salt === null || salt.length === 0) throw new ScramMessageError('its salt is not base64');
      const iterations = /^[1-9][0-9]{0,9}$/.test(count) ? Number(count) : 0;
      if (iterations < 1 || iterations > MAX_ITERATIONS) {
        throw new ScramMessageError(
          `it asks for ${count.slice(0, 20)} iterations; 1 to ${MAX_ITERATIONS} are accepted`,
        );
      }
      return this.#proof(text, nonce, salt, iterations);
    });
  }

  /**
   * Checks the server's proof.
   * @throws PgmonetaError when the server reports an error or does not know the password
   */
  verify(serverFinal: Uint8Array): void {
    this.#guard(() => {
      const text = messageText(serverFinal);
      if (text.startsWith('e=')) throw new ScramMessageError(`it reports ${text.slice(2, 102)}`);
      const [proof = ''] = attributes(text, ['v']);
      const signature = decodeBase64(proof);
      if (signature === null || this.#serverSignature === undefined) throw new ScramMessageError('it has no proof');
      if (!equalInConstantTime(signature, this.#serverSignature)) {
        throw new ScramMessageError('its proof is wrong: the server does not know the password, it may be another one');
      }
    });
  }

  #proof(serverFirst: string, nonce: string, salt: Buffer, iterations: number): Buffer {
    const header = Buffer.from(gs2Header(this.#binding));
    const bound = this.#binding.type === 'tls-server-end-point' ? Buffer.concat([header, this.#binding.data]) : header;
    const withoutProof = `c=${bound.toString('base64')},r=${nonce}`;
    const message = `${this.#bare},${serverFirst},${withoutProof}`;
    const salted = saltedPassword(this.#password, salt, iterations);
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(sha256(clientKey), message);
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message);
    return Buffer.from(`${withoutProof},p=${xor(clientKey, signature).toString('base64')}`);
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ScramMessageError)) throw error;
      throw new PgmonetaError(this.#code, `the SCRAM message of the server is refused: ${error.message}`, {
        cause: error,
        hint: 'check that the address is that of the right server, and that nothing changes the traffic on the way',
      });
    }
  }
}
