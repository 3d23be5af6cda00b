/** Real PostgreSQL servers for tests: made by initdb, on loopback and a Unix socket, gone when the test is. */
import { execFile, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { serverFolder } from '../../scripts/lib/servers.mjs';
import { onExit } from './cleanup.mjs';
import { signal, until } from './processes.mjs';
import { give, identity, makeDirectory, removeDirectory, runtime, temporaryDirectory } from './runtime.mjs';
import { Session } from './sql.mjs';

const execute = promisify(execFile);

/**
 * @typedef {object} ServerOptions
 * @property {Record<string, string | number>} [settings] lines for postgresql.conf
 * @property {string[]} [hba] lines put before the default pg_hba.conf
 * @property {string[]} [initdb] further arguments of initdb, for instance `--wal-segsize=1`
 * @property {boolean} [outsideConfiguration] Debian's layout: configuration files outside the data directory
 * @property {boolean} [durable] fsync on; tests leave it off
 * @property {Record<string, string | number>} [override] settings given on the command line
 * @property {Record<string, string>} [environment] what the server finds in its environment beside the usual
 */

/** Rules of every test server: the superuser by trust on the socket, all others by password. */
const HBA = [
  'local all postgres trust',
  'local replication postgres trust',
  'local all all scram-sha-256',
  'local replication all scram-sha-256',
  'host all all 127.0.0.1/32 scram-sha-256',
  'host replication all 127.0.0.1/32 scram-sha-256',
];

const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** A TCP port of 127.0.0.1 that is free now. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (probe.address());
      probe.close(() => resolve(port));
    });
  });
}

export class Server {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  /** @type {(() => void) | undefined} */
  #forget;

  /**
   * @param {number} major
   * @param {string} base everything of this server lies below
   * @param {string} data data directory
   * @param {ServerOptions} options
   */
  constructor(major, base, data, options) {
    this.major = major;
    this.base = base;
    this.data = data;
    this.options = options;
    this.host = '127.0.0.1';
    this.port = 0;
    this.socketDirectory = base;
    this.log = path.join(base, 'server.log');
    this.bin = path.join(serverFolder(major, runtime().root), 'bin');
  }

  /** Path of the Unix socket. */
  get socket() {
    return path.join(this.socketDirectory, `.s.PGSQL.${this.port}`);
  }

  /** Process id of the postmaster, while it runs. */
  get pid() {
    return this.#process?.pid;
  }

  /** Whether the postmaster runs. */
  get running() {
    return this.#process !== undefined;
  }

  /** Starts the server and waits until it accepts connections. */
  async start() {
    for (let attempt = 1; ; attempt++) {
      if (this.port === 0 || attempt > 1) this.port = await freePort();
      try {
        await this.#startOnce();
        return this;
      } catch (error) {
        const taken =
          existsSync(this.log) && /could not create any TCP\/IP sockets|already in use/.test(this.logTail());
        if (!taken || attempt === 3) throw error;
      }
    }
  }

  async #startOnce() {
    const override = {
      port: this.port,
      listen_addresses: this.host,
      unix_socket_directories: this.socketDirectory,
      logging_collector: 'off',
      ...(this.options.durable ? {} : { fsync: 'off' }),
      ...this.options.override,
    };
    const args = ['-D', this.data];
    for (const [key, value] of Object.entries(override)) args.push('-c', `${key}=${value}`);
    const log = openSync(this.log, 'a', 0o644);
    const child = spawn(path.join(this.bin, 'postgres'), args, {
      ...identity(),
      cwd: this.base,
      env: { ...ENVIRONMENT, ...this.options.environment },
      stdio: ['ignore', log, log],
    });
    this.#process = child;
    /** @type {string | undefined} */
    let ended;
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, name) => {
      ended = `exit code ${code ?? name}`;
      this.#process = undefined;
      this.#forget?.();
    });
    this.#forget = onExit(() => signal(child.pid, 'SIGQUIT'));
    await until(
      `PostgreSQL ${this.major} accepting connections on ${this.socket}`,
      async () => {
        if (ended !== undefined)
          throw new Error(`PostgreSQL ${this.major} did not start (${ended}):\n${this.logTail()}`);
        return this.#accepts();
      },
      { timeout: 120_000 },
    );
  }

  async #accepts() {
    try {
      const session = await this.connect();
      await session.end();
      return true;
    } catch {
      return false;
    }
  }

  /** The end of the server's log. */
  logTail() {
    return readFileSync(this.log, 'utf8').split('\n').slice(-25).join('\n');
  }

  /**
   * Stops the server and waits until it is gone.
   * @param {'smart' | 'fast' | 'immediate' | 'kill'} [mode]
   */
  async stop(mode = 'fast') {
    const child = this.#process;
    if (!child) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const signals = /** @type {const} */ ({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' });
    signal(child.pid, signals[mode]);
    await gone;
  }

  /** Stops the server at once and removes all of it. */
  async remove() {
    await this.stop('immediate');
    removeDirectory(this.base);
  }

  /** A new session of the superuser. @param {string} [database] @param {string} [user] */
  connect(database = 'postgres', user = 'postgres') {
    return Session.connect({ socket: this.socket, database, user });
  }

  /** Runs statements in a session of their own; gives the rows of the last. @param {string} statement @param {string} [database] */
  async sql(statement, database = 'postgres') {
    const session = await this.connect(database);
    try {
      return await session.query(statement);
    } finally {
      await session.end();
    }
  }

  /** First column of the first row. @param {string} statement @param {string} [database] */
  async value(statement, database = 'postgres') {
    return (await this.sql(statement, database))[0]?.[0] ?? null;
  }

  /** Makes a directory for a tablespace and the tablespace itself. @param {string} name @param {string} [folder] name of the directory */
  async createTablespace(name, folder = name) {
    const directory = makeDirectory(path.join(this.base, folder));
    await this.sql(`CREATE TABLESPACE "${name.replaceAll('"', '""')}" LOCATION '${directory.replaceAll("'", "''")}'`);
    return directory;
  }

  /** Makes a role that may take backups. @param {string} name @param {string} password */
  async createReplicationRole(name, password) {
    await this.sql(`CREATE ROLE "${name}" LOGIN REPLICATION PASSWORD '${password.replaceAll("'", "''")}'`);
    return { name, password };
  }
}

/** @param {Server} server */
async function initialise(server) {
  const { options } = server;
  const args = [
    '-D',
    server.data,
    '-U',
    'postgres',
    '--auth=trust',
    '--no-sync',
    '--encoding=UTF8',
    '--locale=C',
    '-k',
  ];
  await execute(path.join(server.bin, 'initdb'), [...args, ...(options.initdb ?? [])], {
    ...identity(),
    cwd: server.base,
    env: ENVIRONMENT,
  });
  const settings = {
    max_wal_senders: 10,
    max_replication_slots: 10,
    wal_level: 'replica',
    shared_buffers: '64MB',
    // A server that is killed leaves its shared memory behind: below its own directory, that goes with it.
    dynamic_shared_memory_type: 'mmap',
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = '${String(value).replaceAll("'", "''")}'`);
  appendFileSync(path.join(server.data, 'postgresql.conf'), `${lines.join('\n')}\n`);
  writeFileSync(path.join(server.data, 'pg_hba.conf'), `${[...(options.hba ?? []), ...HBA].join('\n')}\n`);
  if (options.outsideConfiguration) moveConfiguration(server);
}

/** Debian's layout: the files of configuration live in a directory of their own. @param {Server} server */
function moveConfiguration(server) {
  const folder = makeDirectory(path.join(server.base, 'etc'));
  for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) {
    renameSync(path.join(server.data, name), path.join(folder, name));
  }
  server.options = { ...server.options, override: { ...configurationIn(folder), ...server.options.override } };
}

/** Command line settings that point to configuration files in a folder. @param {string} folder */
export function configurationIn(folder) {
  return {
    config_file: path.join(folder, 'postgresql.conf'),
    hba_file: path.join(folder, 'pg_hba.conf'),
    ident_file: path.join(folder, 'pg_ident.conf'),
  };
}

/**
 * Makes and starts a new server: superuser `postgres` by trust on its Unix socket, everybody else by password on
 * socket and 127.0.0.1, page checksums on, a random free port.
 * @param {number} major 14 to 18
 * @param {ServerOptions} [options]
 * @returns {Promise<Server>}
 */
export async function startServer(major, options = {}) {
  const base = temporaryDirectory(`s${major}`);
  const server = new Server(major, base, path.join(base, 'data'), options);
  await initialise(server);
  return server.start();
}

/**
 * Starts a server on a data directory that exists already, for instance a restored one. Sockets and log lie in a new
 * temporary directory; nothing in the data directory is changed before the server itself does.
 * @param {number} major
 * @param {string} data
 * @param {ServerOptions} [options]
 */
export async function startExisting(major, data, options = {}) {
  const server = new Server(major, temporaryDirectory('r'), data, options);
  mkdirSync(server.base, { recursive: true });
  give(server.base);
  return server.start();
}
