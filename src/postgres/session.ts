import { DatabaseError } from 'pg-protocol';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { Parser } from 'pg-protocol/dist/parser.js';
import { PgmonetaError } from '../errors/index.js';
import { type CopyTarget, FrameSplitter } from './frames.js';
import { contextOf, describePeer, type Peer } from './peer.js';
import type { Transport } from './transport.js';

/** Who gets the messages of a session at the moment. */
export interface MessageListener {
  message(message: BackendMessage): void;
  /** The link is gone, or what came over it makes no sense; nothing follows. */
  lost(error?: Error): void;
}

/** Methods of authentication that the server may ask for and that nobody here speaks, by code. */
const FOREIGN_METHODS: Readonly<Record<number, string>> = {
  2: 'Kerberos V5',
  6: 'SCM credentials',
  7: 'GSSAPI',
  8: 'GSSAPI',
  9: 'SSPI',
};

const AUTHENTICATION = 0x52;
const DATA_ROW = 0x44;

/** Somebody who reads and writes the bytes of a link instead of us, for a while. */
export interface LinkUser {
  /** Begins: `descriptor` is the socket's, `received` what was read from it already (valid during the call only). */
  begin(descriptor: number, received: Buffer): void;
  /** Counts the reads so far. */
  reads(): number;
}

/** Messages over a transport: cuts, parses, and hands them to one listener; CopyData goes past the parser. */
export class Session {
  readonly transport: Transport;
  readonly peer: Peer;
  listener: MessageListener | null = null;
  /** Takes DataRow messages instead of the listener. */
  rawRow: ((packet: Buffer) => void) | null = null;

  readonly #parser = new Parser();
  readonly #splitter: FrameSplitter;
  #closed = false;
  #paused = false;
  #reads = 0;
  #user: LinkUser | null = null;

  constructor(transport: Transport, peer: Peer) {
    this.transport = transport;
    this.peer = peer;
    this.#splitter = new FrameSplitter((packet) => this.#packet(packet));
    transport.onBytes = (chunk) => this.#bytes(chunk);
    transport.onClosed = (error) => this.#lost(error);
  }

  /** Whether the link is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether reading is stopped because the copy target asked for it. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Counts the reads so far: a number that does not move means a server that is silent. */
  get reads(): number {
    return this.#reads + (this.#user?.reads() ?? 0);
  }

  /** Sends bytes. Returns false when the operating system takes no more for now. */
  send(bytes: Uint8Array): boolean {
    return this.#closed ? false : this.transport.socket.write(bytes);
  }

  /**
   * Leaves the link to somebody else as soon as the message that is being handed on is done with. Reading stops, and
   * nothing may be sent until `attach`. The transport has to have a descriptor.
   */
  detach(user: LinkUser): void {
    this.#splitter.detach();
    this.#user = user;
  }

  /** Takes the link back. @param received what was read from it and not used */
  attach(received: Buffer): void {
    this.#reads += this.#user?.reads() ?? 0;
    this.#user = null;
    this.#splitter.attach();
    if (this.#closed) return;
    if (received.length === 0 || this.#bytes(received)) this.transport.socket.resume();
  }

  /** Where CopyData goes from now on; null hands it to the listener like any message. */
  setCopyTarget(target: CopyTarget | null): void {
    this.#splitter.copy = target;
  }

  /** Drops the link at once; the listener hears of it with this error. */
  destroy(error?: Error): void {
    this.#splitter.stop();
    this.transport.socket.destroy();
    this.#lost(error);
  }

  #bytes(chunk: Buffer): boolean {
    if (this.#closed) return false;
    this.#reads++;
    try {
      const keep = this.#splitter.push(chunk);
      if (this.#splitter.detached) return this.#leave();
      if (keep) return true;
    } catch (error) {
      this.destroy(this.#named(error as Error));
      return false;
    }
    return !this.#closed && !this.#pause();
  }

  #leave(): boolean {
    const { descriptor } = this.transport;
    if (this.#user === null || descriptor === undefined) {
      throw new PgmonetaError('INTERNAL', 'a link without a descriptor was to be left to somebody else');
    }
    this.#user.begin(descriptor, this.#splitter.rest);
    return false;
  }

  /** Stops reading until the copy target is ready; false when the copy is over and there is nobody to wait for. */
  #pause(): boolean {
    const target = this.#splitter.copy;
    if (target === null) return false;
    this.#paused = true;
    target.drained().then(
      () => {
        this.#paused = false;
        if (!this.#closed) this.transport.socket.resume();
      },
      (error: unknown) => this.destroy(error as Error),
    );
    return true;
  }

  #packet(packet: Buffer): void {
    if (packet[0] === DATA_ROW && this.rawRow !== null) {
      this.rawRow(packet);
      return;
    }
    if (packet[0] === AUTHENTICATION && packet.length >= 9) this.#refuseForeignMethod(packet.readInt32BE(5));
    this.#parser.parse(packet, (message) => {
      if (message instanceof DatabaseError && message.code === undefined) {
        throw this.#nonsense(`a message of kind 0x${(packet[0] as number).toString(16)}`);
      }
      this.listener?.message(message);
    });
  }

  #refuseForeignMethod(code: number): void {
    const method = FOREIGN_METHODS[code];
    if (method === undefined) return;
    throw new PgmonetaError(
      'POSTGRES_AUTHENTICATION',
      `${describePeer(this.peer)} asks user ${this.peer.user} for ${method}, which pgmoneta does not speak`,
      {
        hint: `use scram-sha-256 (or cert) for this user in pg_hba.conf of the server, then run SELECT pg_reload_conf();`,
        context: contextOf(this.peer),
      },
    );
  }

  /** Those who find nonsense in the stream do not know whose it is. */
  #named(error: Error): Error {
    if (!(error instanceof PgmonetaError) || !error.message.startsWith('the server sent ')) return error;
    const message = error.message.replace('the server', describePeer(this.peer));
    return new PgmonetaError(error.code, message, { hint: error.hint, context: contextOf(this.peer), cause: error });
  }

  #nonsense(what: string): PgmonetaError {
    return new PgmonetaError('POSTGRES_PROTOCOL', `${describePeer(this.peer)} sent ${what}, which is not understood`, {
      hint: 'check that host and port are those of a PostgreSQL server',
      context: contextOf(this.peer),
    });
  }

  #lost(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#splitter.stop();
    this.listener?.lost(error);
  }
}
