/**
 * A small SQL session for tests, independent of the product's own client on purpose: simple query protocol, text
 * results, trust authentication over the server's Unix socket.
 */
import net from 'node:net';
import { parse, serialize } from 'pg-protocol';

/** @typedef {{socket: string, user?: string, database?: string}} SessionOptions `socket`: path of the Unix socket */
/** @typedef {(string | null)[]} Row */

/** An error of the server, with its SQLSTATE in `code`. */
export class SqlError extends Error {
  /** @param {string} message @param {string} code @param {string} [statement] */
  constructor(message, code, statement) {
    super(statement === undefined ? message : `${message} (SQLSTATE ${code}) in: ${statement.slice(0, 300)}`);
    this.name = 'SqlError';
    this.code = code;
  }
}

export class Session {
  /** @type {net.Socket} */
  #socket;
  /** @type {{resolve: (rows: Row[]) => void, reject: (error: Error) => void, rows: Row[], error?: Error, statement: string} | undefined} */
  #current;
  #closed = false;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  /** Connects; a server that is not there or still starting is an error at once. @param {SessionOptions} options @returns {Promise<Session>} */
  static connect(options) {
    const socket = net.createConnection(options.socket);
    const session = new Session(socket);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.write(serialize.startup({ user: options.user ?? 'postgres', database: options.database ?? 'postgres' }));
        session.#current = { resolve: () => resolve(session), reject, rows: [], statement: 'connect' };
        session.#listen();
      });
    });
  }

  #listen() {
    const lost = (/** @type {Error | undefined} */ error) => {
      this.#closed = true;
      const current = this.#current;
      this.#current = undefined;
      current?.reject(current.error ?? error ?? new SqlError('the server closed the connection', '08006'));
    };
    this.#socket.on('error', lost);
    this.#socket.on('close', () => lost(undefined));
    parse(this.#socket, (message) => this.#receive(/** @type {any} */ (message)));
  }

  /** @param {any} message */
  #receive(message) {
    const current = this.#current;
    if (!current) return;
    if (message.name === 'dataRow') current.rows.push(message.fields);
    else if (message.name === 'rowDescription') current.rows = [];
    else if (message.name === 'error') current.error = new SqlError(message.message, message.code, current.statement);
    else if (message.name.startsWith('authentication') && message.name !== 'authenticationOk') {
      current.error = new SqlError(`unexpected ${message.name}: tests log in by trust`, '28000');
      this.#socket.destroy();
    } else if (message.name === 'readyForQuery') {
      this.#current = undefined;
      if (current.error) current.reject(current.error);
      else current.resolve(current.rows);
    }
  }

  /** Runs one or several statements; gives the rows of the last that returned any. @param {string} statement @returns {Promise<Row[]>} */
  query(statement) {
    if (this.#closed) return Promise.reject(new SqlError('the session is closed', '08003', statement));
    if (this.#current) return Promise.reject(new Error('a session runs one statement at a time'));
    return new Promise((resolve, reject) => {
      this.#current = { resolve, reject, rows: [], statement };
      this.#socket.write(serialize.query(statement));
    });
  }

  /** The first column of the first row. @param {string} statement */
  async value(statement) {
    return (await this.query(statement))[0]?.[0] ?? null;
  }

  async end() {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise((resolve) => this.#socket.end(serialize.end(), () => resolve(undefined)));
    this.#socket.destroy();
  }
}

/** A value as SQL text. @param {string} text */
export function literal(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as SQL text. @param {string} name */
export function identifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}
