import { PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { quoteIdentifier } from './quote.js';
import { firstRow } from './result.js';

/** A regular file on the host of the server. */
export interface ServerFile {
  /** As the server's functions take it. */
  readonly path: string;
  /** Bytes, when it was listed. */
  readonly size: number;
}

/** Reads files on the host of a server. */
export interface ServerFiles {
  /** How: for messages. */
  readonly means: string;
  /** The file, or every regular file below a directory. @throws PgmonetaError when it is not there or may not be read */
  list(path: string): Promise<ServerFile[]>;
  /** Content in pieces. @throws PgmonetaError */
  read(path: string): AsyncIterable<Buffer>;
}

/** Bytes that one statement reads. */
const PIECE = 1024 * 1024;

/** What a role needs for the functions of PostgreSQL itself: they are closed to everybody else. */
const RIGHTS = `
  SELECT rolsuper OR pg_has_role(oid, 'pg_read_server_files', 'USAGE')
     AND has_function_privilege(oid, 'pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)', 'EXECUTE')
     AND has_function_privilege(oid, 'pg_catalog.pg_stat_file(text,boolean)', 'EXECUTE')
     AND has_function_privilege(oid, 'pg_catalog.pg_ls_dir(text,boolean,boolean)', 'EXECUTE') AS allowed
    FROM pg_catalog.pg_roles WHERE rolname = current_user`;

/** The functions of pgmoneta_ext, wherever the extension was put. */
const EXTENSION = `
  SELECT nspname AS schema FROM pg_catalog.pg_proc JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace
   WHERE proname = 'pgmoneta_ext_get_file' AND pg_get_function_identity_arguments(pg_proc.oid) = 'file_path text'
     AND has_function_privilege(pg_proc.oid, 'EXECUTE')`;

/**
 * Finds the way to read files on the host of a server: PostgreSQL's own functions when the role may use them, else those
 * of pgmoneta_ext.
 * @param connection an ordinary connection to database postgres
 * @throws PgmonetaError POSTGRES_PERMISSION with what to grant, when there is neither
 */
export async function openServerFiles(connection: Connection): Promise<ServerFiles> {
  if (firstRow(await connection.query(RIGHTS))?.allowed === 't') return new BuiltInFiles(connection);
  const schema = firstRow(await connection.query(EXTENSION))?.schema;
  if (schema !== undefined && schema !== null) return new ExtensionFiles(connection, quoteIdentifier(schema));
  const user = quoteIdentifier(connection.peer.user);
  throw new PgmonetaError('POSTGRES_PERMISSION', `user ${connection.peer.user} may not read files of the server`, {
    hint: `run in database postgres: GRANT pg_read_server_files TO ${user}; GRANT EXECUTE ON FUNCTION pg_read_binary_file(text,bigint,bigint,boolean), pg_stat_file(text,boolean), pg_ls_dir(text,boolean,boolean) TO ${user}; - or remove extra from the configuration`,
  });
}

class BuiltInFiles implements ServerFiles {
  readonly means = "PostgreSQL's functions";
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(path: string): Promise<ServerFile[]> {
    const found = firstRow(
      await this.#connection.query('SELECT size, isdir FROM pg_catalog.pg_stat_file($1, false)', [path]),
    );
    if (found?.isdir !== 't') return [{ path, size: Number(found?.size ?? 0) }];
    const files: ServerFile[] = [];
    const open = [path];
    for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
      // A file that goes away meanwhile is none any more.
      const { rows } = await this.#connection.query(
        `SELECT name, size, isdir FROM pg_catalog.pg_ls_dir($1, true, false) AS name,
                pg_catalog.pg_stat_file($1 || '/' || name, true) WHERE size IS NOT NULL ORDER BY name`,
        [directory],
      );
      for (const [name, size, isDirectory] of rows) {
        const below = `${directory.replace(/\/$/, '')}/${name}`;
        if (isDirectory === 't') open.push(below);
        else files.push({ path: below, size: Number(size) });
      }
    }
    return files;
  }

  async *read(path: string): AsyncGenerator<Buffer> {
    for (let offset = 0; ; offset += PIECE) {
      const row = firstRow(
        await this.#connection.query('SELECT pg_catalog.pg_read_binary_file($1, $2, $3, false) AS content', [
          path,
          offset,
          PIECE,
        ]),
      );
      const piece = Buffer.from((row?.content ?? '').slice(2), 'hex');
      if (piece.length > 0) yield piece;
      if (piece.length < PIECE) return;
    }
  }
}

class ExtensionFiles implements ServerFiles {
  readonly means = 'pgmoneta_ext';
  readonly #connection: Connection;
  readonly #schema: string;

  /** @param schema quoted */
  constructor(connection: Connection, schema: string) {
    this.#connection = connection;
    this.#schema = schema;
  }

  async list(path: string): Promise<ServerFile[]> {
    const { rows } = await this.#connection.query(
      `SELECT name, is_dir, size FROM ${this.#schema}.pgmoneta_ext_get_files($1)`,
      [path],
    );
    return rows.flatMap(([name, isDirectory, size]) =>
      isDirectory === 't' || name === null || name === undefined ? [] : [{ path: name, size: Number(size) }],
    );
  }

  /** The extension gives a file in one piece, in Base64. */
  async *read(path: string): AsyncGenerator<Buffer> {
    const row = firstRow(
      await this.#connection.query(`SELECT ${this.#schema}.pgmoneta_ext_get_file($1) AS content`, [path]),
    );
    if (row?.content === null || row?.content === undefined) {
      throw new PgmonetaError('POSTGRES_PERMISSION', `pgmoneta_ext does not give ${path}`, {
        hint: 'the user needs to be a superuser or in pg_read_server_files',
      });
    }
    yield Buffer.from(row.content, 'base64');
  }
}
