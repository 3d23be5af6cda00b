import { type DatabaseError, serialize } from 'pg-protocol';
import type { BackendMessage, NoticeMessage, ParameterStatusMessage } from 'pg-protocol/dist/messages.js';
import { PgmonetaError } from '../errors/index.js';
import { sendCancel } from './cancel.js';
import type { CopyTarget } from './frames.js';
import { connectionLost } from './network-error.js';
import type { ResolvedOptions } from './options.js';
import { contextOf, describePeer, type Peer } from './peer.js';
import { type Parameter, type QueryResult, ResultCollector, wireValue } from './result.js';
import { fromServer } from './server-error.js';
import type { LinkUser, MessageListener, Session } from './session.js';
import { parseVersion, type ServerVersion } from './version.js';

/** What the start of a connection found out. */
export interface Greeting {
  readonly parameters: Map<string, string>;
  readonly processId: number;
  readonly secretKey: number;
}

/** One command and what becomes of its answer. */
export interface Exchange {
  /** What is being done, for messages: `BASE_BACKUP`. */
  readonly doing: string;
  /** The bytes that start it. */
  readonly request: Uint8Array;
  /** Every message but errors, notices, parameters and ReadyForQuery. What it throws ends the connection. */
  readonly message: (message: BackendMessage) => void;
  /** Takes CopyData past the parser. */
  readonly copy?: CopyTarget | undefined;
  /** Takes each DataRow as it came, past the parser: for values that are not text. */
  readonly row?: ((packet: Buffer) => void) | undefined;
  /** Seconds until the answer has to be complete; 0 or absent = no limit. */
  readonly timeout?: number | undefined;
}

/** A warning or notice of the server. */
export interface ServerNotice {
  readonly severity: string;
  readonly message: string;
  readonly detail: string | undefined;
}

const NOTICE_LIMIT = 100;

/** Grace for a statement timeout of the server itself to arrive, in seconds. */
const TIMEOUT_GRACE = 5;

interface Running {
  readonly exchange: Exchange;
  readonly resolve: () => void;
  readonly reject: (error: PgmonetaError) => void;
  failure: PgmonetaError | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * A connection to a server that is ready for commands. Commands run one after the other; each may be awaited
 * without regard for the others.
 * @example const { rows } = await connection.query('SELECT $1::text', ['x']);
 */
export class Connection implements MessageListener {
  /** `server_version` and the other parameters that the server reports, kept up to date. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly version: ServerVersion;
  /** The newest warnings and notices, at most 100. */
  readonly notices: ServerNotice[] = [];
  readonly peer: Peer;
  readonly processId: number;

  readonly #session: Session;
  readonly #options: ResolvedOptions;
  readonly #parameters: Map<string, string>;
  readonly #secretKey: number;
  readonly #lostListeners: ((error: PgmonetaError) => void)[] = [];
  #running: Running | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #closing = false;
  #lostWith: PgmonetaError | undefined;

  /** Use `connect`. */
  constructor(session: Session, options: ResolvedOptions, greeting: Greeting) {
    this.#session = session;
    this.#options = options;
    this.#parameters = greeting.parameters;
    this.#secretKey = greeting.secretKey;
    this.parameters = greeting.parameters;
    this.processId = greeting.processId;
    this.peer = session.peer;
    this.version = parseVersion(greeting.parameters.get('server_version') ?? '');
    session.listener = this;
  }

  /** Whether the link is encrypted. */
  get encrypted(): boolean {
    return this.#session.transport.encrypted;
  }

  /** Whether commands can no longer be sent. */
  get closed(): boolean {
    return this.#session.closed || this.#closing;
  }

  /** Counts the reads from the socket so far; for those who watch for silence. */
  get reads(): number {
    return this.#session.reads;
  }

  /** Whether reading is stopped because the receiver of a COPY asked for it. */
  get paused(): boolean {
    return this.#session.paused;
  }

  /** Has `listener` called once when the connection breaks without being asked to close. */
  onLost(listener: (error: PgmonetaError) => void): void {
    if (this.#lostWith !== undefined) listener(this.#lostWith);
    else this.#lostListeners.push(listener);
  }

  /**
   * Runs a statement, or a replication command on a replication connection.
   * @param parameters values of `$1`, `$2`, ...; not possible on a replication connection
   * @returns the last result set, values as text
   * @throws PgmonetaError with what the server said and what to do about it
   */
  async query(sql: string, parameters: readonly Parameter[] = []): Promise<QueryResult> {
    const collector = new ResultCollector();
    await this.exchange({
      doing: `"${sql.length > 60 ? `${sql.slice(0, 57)}...` : sql}"`,
      request: this.#request(sql, parameters),
      message: (message) => collector.take(message),
      timeout: this.#options.statementTimeout === 0 ? 0 : this.#options.statementTimeout + TIMEOUT_GRACE,
    });
    return collector.last;
  }

  #request(sql: string, parameters: readonly Parameter[]): Buffer {
    if (parameters.length === 0) return serialize.query(sql);
    if (this.peer.replication) {
      throw new PgmonetaError('INTERNAL', `a replication connection takes no parameters: ${sql}`);
    }
    return Buffer.concat([
      serialize.parse({ text: sql }),
      serialize.bind({ values: parameters.map(wireValue) }),
      serialize.describe({ type: 'P' }),
      serialize.execute(),
      serialize.sync(),
    ]);
  }

  /**
   * Sends a command and hands on its answer message by message; settles when the server is ready for the next one.
   * @throws PgmonetaError for what the server reports, a broken link, or what a handler threw
   */
  exchange(exchange: Exchange): Promise<void> {
    const turn = this.#tail.then(() => this.#start(exchange));
    this.#tail = turn.catch(() => {});
    return turn;
  }

  #start(exchange: Exchange): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(this.#lostWith ?? connectionLost(this.peer, exchange.doing));
      const timer = exchange.timeout ? setTimeout(() => this.#timedOut(exchange), exchange.timeout * 1000) : undefined;
      this.#running = { exchange, resolve, reject, failure: undefined, timer };
      this.#session.setCopyTarget(exchange.copy ?? null);
      this.#session.rawRow = exchange.row ?? null;
      this.#session.send(exchange.request);
    });
  }

  #timedOut({ doing, timeout }: Exchange): void {
    const message = `${describePeer(this.peer)} did not complete ${doing} within ${timeout} s`;
    const hint = 'the server is overloaded or hangs; look at pg_stat_activity and the server log';
    this.abort(
      new PgmonetaError('POSTGRES_TIMEOUT', message, { hint, retryable: true, context: contextOf(this.peer) }),
    );
  }

  /** Sends bytes in the middle of an exchange: CopyData, CopyDone. Returns false when the link takes no more for now. */
  send(bytes: Uint8Array): boolean {
    return this.#session.send(bytes);
  }

  /** Whether the bytes of the link can be left to somebody else: not when they are encrypted. */
  get detachable(): boolean {
    return this.#session.transport.descriptor !== undefined;
  }

  /**
   * Leaves the link to somebody else in the middle of an exchange: call it from a handler of a message, and nothing that
   * follows this message is read here. Nothing may be sent until `attach`.
   */
  detach(user: LinkUser): void {
    this.#session.detach(user);
  }

  /** Takes the link back. @param received what was read from it and is for us */
  attach(received: Buffer): void {
    this.#session.attach(received);
  }

  /** Settles when the link takes more after `send` returned false, or is gone. */
  writable(): Promise<void> {
    const { socket } = this.#session.transport;
    if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.once('drain', done);
      socket.once('close', done);
    });
  }

  /** Asks the server to end the running command (over a link of its own); what becomes of it shows in its exchange. */
  cancel(): Promise<void> {
    return sendCancel(this.#options, this.processId, this.#secretKey);
  }

  /** Drops the link at once and asks the server to end what it is doing; the running exchange fails with `error`. */
  abort(error: PgmonetaError): void {
    if (this.#session.closed) return;
    const busy = this.#running !== null;
    this.#session.destroy(error);
    if (busy) this.cancel().catch(() => {}); // best effort: the server also notices the dead link, only later
  }

  /** Says good-bye and closes; waits at most `grace` milliseconds for the other side. Never throws. */
  async close(grace = 2000): Promise<void> {
    if (this.#session.closed) return;
    this.#closing = true;
    const { socket } = this.#session.transport;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const timer = setTimeout(() => socket.destroy(), grace);
    socket.end(serialize.end());
    socket.resume();
    await gone;
    clearTimeout(timer);
  }

  /** Part of `MessageListener`: takes one message of the session. */
  message(message: BackendMessage): void {
    switch (message.name) {
      case 'error':
        this.#failed(message as unknown as DatabaseError);
        break;
      case 'notice':
        this.#noticed(message as NoticeMessage);
        break;
      case 'parameterStatus': {
        const { parameterName, parameterValue } = message as ParameterStatusMessage;
        this.#parameters.set(parameterName, parameterValue);
        break;
      }
      case 'readyForQuery':
        this.#ready();
        break;
      default:
        this.#running?.exchange.message(message);
    }
  }

  #failed(error: DatabaseError): void {
    const failure = fromServer(error, this.peer, this.#running?.exchange.doing);
    if (this.#running !== null) this.#running.failure ??= failure;
    if (error.severity === 'FATAL' || error.severity === 'PANIC' || this.#running === null) this.#lostWith ??= failure;
  }

  #noticed({ severity, message, detail }: NoticeMessage): void {
    if (this.notices.length >= NOTICE_LIMIT) this.notices.shift();
    this.notices.push({ severity: severity ?? 'NOTICE', message: message ?? '', detail });
  }

  #ready(): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    clearTimeout(running.timer);
    this.#session.setCopyTarget(null);
    if (running.failure === undefined) running.resolve();
    else running.reject(running.failure);
  }

  /** Part of `MessageListener`: the link is gone. */
  lost(error?: Error): void {
    const running = this.#running;
    this.#running = null;
    clearTimeout(running?.timer);
    const said = running?.failure ?? this.#lostWith;
    const failure = said ?? (error instanceof PgmonetaError ? error : this.#broken(running, error));
    this.#lostWith = failure;
    running?.reject(failure);
    if (this.#closing) return;
    for (const listener of this.#lostListeners.splice(0)) listener(failure);
  }

  #broken(running: Running | null, error: Error | undefined): PgmonetaError {
    return connectionLost(this.peer, running?.exchange.doing, error);
  }
}
