import { createHash } from 'node:crypto';
import { serialize } from 'pg-protocol';
import type { AuthenticationMD5Password, BackendMessage } from 'pg-protocol/dist/messages.js';
import { PgmonetaError } from '../errors/index.js';
import { type ChannelBinding, ScramClient } from '../security/scram.js';
import type { ResolvedOptions } from './options.js';
import { contextOf, describePeer, isSocketDirectory, type Peer, sectionOf } from './peer.js';

interface SaslMessage extends BackendMessage {
  readonly mechanisms?: readonly string[];
  readonly data?: string;
}

const PLUS = 'SCRAM-SHA-256-PLUS';
const SCRAM = 'SCRAM-SHA-256';

/** Answer to an MD5 challenge: `md5` + hex(md5(hex(md5(password + user)) + salt)). */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const inner = createHash('md5').update(password).update(user).digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

/** Our side of the authentication dialogue; no I/O, answers go out through `send`. */
export class Authentication {
  readonly #options: ResolvedOptions;
  readonly #peer: Peer;
  readonly #binding: Buffer | undefined;
  #scram: ScramClient | undefined;
  #bound = false;
  #proven = false;

  /** @param binding channel binding data of the TLS link, when there is one */
  constructor(options: ResolvedOptions, peer: Peer, binding: Buffer | undefined) {
    this.#options = options;
    this.#peer = peer;
    this.#binding = binding;
  }

  /**
   * Answers one message of the dialogue.
   * @returns the bytes to send, null when there is nothing to answer, undefined for a message of another kind
   */
  answer(message: BackendMessage): Buffer | null | undefined {
    switch (message.name) {
      case 'authenticationOk':
        return this.#finish();
      case 'authenticationCleartextPassword':
        return serialize.password(this.#clearPassword());
      case 'authenticationMD5Password':
        this.#requireBinding('MD5');
        return serialize.password(
          md5Answer(this.#options.user, this.#password(), (message as AuthenticationMD5Password).salt),
        );
      case 'authenticationSASL':
        return this.#beginScram((message as SaslMessage).mechanisms ?? []);
      case 'authenticationSASLContinue':
        return this.#continueScram((message as SaslMessage).data ?? '');
      case 'authenticationSASLFinal':
        return this.#verifyServer((message as SaslMessage).data ?? '');
      default:
        return undefined;
    }
  }

  #refuse(message: string, hint: string): never {
    throw new PgmonetaError('POSTGRES_AUTHENTICATION', message, { hint, context: contextOf(this.#peer) });
  }

  #password(): string {
    const { password, user } = this.#options;
    if (password !== undefined) return password;
    return this.#refuse(
      `${describePeer(this.#peer)} asks for the password of user ${user}, and none is stored`,
      `store it with: pgmoneta-admin user add -U ${user}`,
    );
  }

  #clearPassword(): string {
    const { host, user, allowCleartextPassword } = this.#options;
    this.#requireBinding('a password in clear');
    if (this.#peer.encrypted || isSocketDirectory(host) || allowCleartextPassword) return this.#password();
    throw new PgmonetaError(
      'POSTGRES_CLEARTEXT_REFUSED',
      `${describePeer(this.#peer)} asks for the password of user ${user} in clear over a link that is not encrypted`,
      {
        hint: `use scram-sha-256 instead of password in pg_hba.conf of the server, or TLS (sslmode = require in ${sectionOf(this.#peer)})`,
        context: contextOf(this.#peer),
      },
    );
  }

  #requireBinding(instead: string): void {
    if (this.#options.channelBinding !== 'require') return;
    const why = this.#peer.encrypted ? `the server asks for ${instead}` : 'the link has no TLS';
    this.#refuse(
      `channel binding with ${describePeer(this.#peer)} is required, but not possible: ${why}`,
      `use TLS and scram-sha-256 on the server, or channel_binding = prefer in ${sectionOf(this.#peer)}`,
    );
  }

  #beginScram(mechanisms: readonly string[]): Buffer {
    const channelBinding = this.#bindingFor(mechanisms);
    this.#bound = channelBinding.type === 'tls-server-end-point';
    if (!this.#bound) this.#requireBinding('SCRAM without it');
    if (!this.#bound && !mechanisms.includes(SCRAM)) {
      this.#refuse(
        `${describePeer(this.#peer)} offers only the SASL mechanisms ${mechanisms.join(', ')}, which pgmoneta does not speak`,
        'use scram-sha-256 for this user in pg_hba.conf of the server',
      );
    }
    this.#scram = new ScramClient({ password: this.#password(), channelBinding });
    return serialize.sendSASLInitialResponseMessage(this.#scram.mechanism, this.#scram.first().toString('utf8'));
  }

  #bindingFor(mechanisms: readonly string[]): ChannelBinding {
    if (this.#options.channelBinding === 'disable' || this.#binding === undefined) return { type: 'none' };
    if (!mechanisms.includes(PLUS)) return { type: 'not-offered' };
    return { type: 'tls-server-end-point', data: this.#binding };
  }

  #continueScram(serverFirst: string): Buffer {
    const final = this.#scramStep((scram) => scram.final(Buffer.from(serverFirst, 'utf8')));
    return serialize.sendSCRAMClientFinalMessage(final.toString('utf8'));
  }

  #verifyServer(serverFinal: string): null {
    this.#scramStep((scram) => scram.verify(Buffer.from(serverFinal, 'utf8')));
    this.#proven = true;
    return null;
  }

  #scramStep<T>(step: (scram: ScramClient) => T): T {
    try {
      if (this.#scram === undefined) throw new Error('the server answers a dialogue that was not begun');
      return step(this.#scram);
    } catch (error) {
      throw new PgmonetaError(
        'POSTGRES_AUTHENTICATION',
        `${describePeer(this.#peer)} failed to prove that it knows the password of user ${this.#peer.user}: ${(error as Error).message}`,
        {
          hint: 'somebody between may pretend to be the server: check host and port, and use sslmode = verify-full',
          context: contextOf(this.#peer),
          cause: error,
        },
      );
    }
  }

  #finish(): null {
    if (this.#scram !== undefined && !this.#proven)
      this.#scramStep(() => {
        throw new Error('it sent no signature');
      });
    if (!this.#bound) this.#requireBinding('no SCRAM at all');
    return null;
  }
}
