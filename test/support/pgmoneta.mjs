/** An installation of the product for tests: home, master key, users, configuration, daemon, command line. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { family, until } from './processes.mjs';
import { answers, Daemon, launch } from './programs.mjs';
import { give, makeDirectory, removeDirectory, temporaryDirectory } from './runtime.mjs';

/** @typedef {Record<string, string | number>} Settings */
/**
 * @typedef {object} ServerSection a server section of the configuration
 * @property {string} [name] default `primary`
 * @property {string} host @property {number} port @property {string} user @property {string} password
 * @property {Settings} [settings] further keys
 */
/** @typedef {import('./programs.mjs').ProgramResult} CliResult */

/** The master key of tests: deliberately not a simple word. */
export const MASTER_KEY = 'Test master key, ünïcode & 48 bytes long: #;=\'"\\';

/** What a backup needs to reach a test server with its own role. @param {import('./server.mjs').Server} server @param {{name: string, password: string}} role @param {Settings} [settings] @returns {ServerSection} */
export function section(server, role, settings = {}) {
  return { host: server.host, port: server.port, user: role.name, password: role.password, settings };
}

/** @param {Settings} settings */
const lines = (settings) => Object.entries(settings).map(([key, value]) => `${key} = ${value}`);

export class Pgmoneta {
  /** @type {Daemon | undefined} */
  daemon;

  /** @param {Settings} settings @param {ServerSection[]} servers */
  constructor(settings, servers) {
    this.base = temporaryDirectory('p');
    this.home = makeDirectory(path.join(this.base, 'home'));
    this.conf = makeDirectory(path.join(this.base, 'conf'));
    this.run = makeDirectory(path.join(this.base, 'run'));
    this.repository = path.join(this.base, 'backup');
    this.restored = makeDirectory(path.join(this.base, 'restored'));
    this.log = path.join(this.base, 'daemon.log');
    this.settings = settings;
    this.servers = servers;
  }

  /** The configuration file. */
  get configuration() {
    return path.join(this.conf, 'pgmoneta.conf');
  }

  /** The users file. */
  get users() {
    return path.join(this.conf, 'pgmoneta_users.conf');
  }

  /** The management socket. */
  get socket() {
    return path.join(this.run, '.s.pgmoneta');
  }

  /**
   * Makes an installation with master key, users file and configuration; the daemon is not started.
   * @param {ServerSection[]} servers
   * @param {Settings} [settings] keys of the [pgmoneta] section
   */
  static async create(servers, settings = {}) {
    const pgmoneta = new Pgmoneta(settings, servers);
    await pgmoneta.admin(['master-key', '-P', MASTER_KEY]);
    const known = new Set();
    for (const { user, password } of servers) {
      if (known.has(user)) continue;
      known.add(user);
      await pgmoneta.admin(['-f', pgmoneta.users, '-U', user, '-P', password, 'user', 'add']);
    }
    pgmoneta.configure();
    return pgmoneta;
  }

  /** Writes the configuration file, with changed settings where given. @param {Settings} [settings] */
  configure(settings = {}) {
    this.settings = { ...this.settings, ...settings };
    const text = ['[pgmoneta]', ...lines({ ...this.#defaults(), ...this.settings })];
    for (const server of this.servers) {
      const { host, port, user } = server;
      text.push('', `[${server.name ?? 'primary'}]`);
      text.push(...lines({ host, port, user, wal_slot: 'pgmoneta', create_slot: 'yes', ...server.settings }));
    }
    this.writeConfiguration(`${text.join('\n')}\n`);
  }

  /** @returns {Settings} */
  #defaults() {
    return {
      host: '127.0.0.1',
      unix_socket_dir: this.run,
      base_dir: this.repository,
      compression: 'zstd',
      // Tests that want backups to expire say so.
      retention: '-',
      log_type: 'console',
      log_level: 'debug',
      workers: 2,
    };
  }

  /** Replaces the configuration file by any text. @param {string} text */
  writeConfiguration(text) {
    writeFileSync(this.configuration, text);
    chmodSync(this.configuration, 0o600);
    give(this.configuration);
  }

  /** What programs find in their environment. */
  get environment() {
    return {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      HOME: this.home,
      LC_ALL: 'C.UTF-8',
      TZ: process.env.TZ ?? 'UTC',
    };
  }

  /**
   * Runs one of the programs to its end.
   * @param {import('./programs.mjs').ProgramName} program @param {string[]} args
   * @param {import('./programs.mjs').ProgramOptions} [options]
   */
  program(program, args, options = {}) {
    return this.launch(program, args, options).result;
  }

  /**
   * Starts one of the programs; `result` settles when it ends.
   * @param {import('./programs.mjs').ProgramName} program @param {string[]} args
   * @param {import('./programs.mjs').ProgramOptions} [options]
   */
  launch(program, args, options = {}) {
    return launch(program, args, { cwd: this.base, ...options, env: { ...this.environment, ...options.env } });
  }

  /** pgmoneta-cli with this configuration. @param {...string} args */
  cli(...args) {
    return this.program('pgmoneta-cli', ['-c', this.configuration, ...args]);
  }

  /** pgmoneta-cli with JSON output. @param {...string} args @returns {Promise<CliResult & {document: any}>} */
  async json(...args) {
    const result = await this.cli('-F', 'json', ...args);
    let document;
    try {
      document = JSON.parse(result.stdout);
    } catch {
      document = undefined;
    }
    return { ...result, document };
  }

  /** pgmoneta-admin; anything but success is an error. @param {string[]} args */
  async admin(args) {
    const result = await this.program('pgmoneta-admin', args);
    if (result.exit !== 0)
      throw new Error(`pgmoneta-admin ${args.join(' ')}: exit ${result.exit}\n${result.stdout}${result.stderr}`);
    return result;
  }

  /**
   * A command that has to succeed; gives the Response of its JSON document.
   * @param {...string} args @returns {Promise<any>}
   */
  async must(...args) {
    const result = await this.json(...args);
    if (result.exit === 0 && result.document?.Outcome?.Status === true) return result.document.Response;
    throw new Error(
      `pgmoneta-cli ${args.join(' ')}: exit ${result.exit}\n${result.stdout}${result.stderr}\n--- daemon ---\n${this.logTail()}`,
    );
  }

  /** Takes a full backup; gives its label. @param {string} [server] @returns {Promise<string>} */
  async backup(server = 'primary') {
    return (await this.must('backup', server)).Backup;
  }

  /**
   * Restores; gives the path of the restored data directory.
   * @param {string} [identifier] @param {{server?: string, position?: string, options?: string[], directory?: string}} [options]
   */
  async restore(identifier = 'newest', options = {}) {
    const { server = 'primary', position, directory = this.restored } = options;
    const args = [
      'restore',
      server,
      identifier,
      ...(position ? [position] : []),
      directory,
      ...(options.options ?? []),
    ];
    const response = await this.must(...args);
    return path.join(directory, `${server}-${response.Backup}`);
  }

  /** Directory of a backup in the repository. @param {string} label @param {string} [server] */
  backupDirectory(label, server = 'primary') {
    return path.join(this.repository, server, 'backup', label);
  }

  /** Names in the backup directory. @param {string} [server] @returns {string[]} */
  backupsOnDisk(server = 'primary') {
    const directory = path.join(this.repository, server, 'backup');
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  /** Names in the staging directory. @param {string} [server] @returns {string[]} */
  stagingOnDisk(server = 'primary') {
    const directory = path.join(this.repository, server, '.staging');
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  /**
   * Starts the daemon and waits until its socket answers.
   * @param {{args?: string[], env?: Record<string, string>, wrap?: string[]}} [options] `wrap`: a command that starts it
   */
  async start(options = {}) {
    const args = ['-c', this.configuration, '-u', this.users, ...(options.args ?? [])];
    const env = { ...this.environment, ...options.env };
    this.daemon = new Daemon({ args, env, cwd: this.base, log: this.log, wrap: options.wrap ?? [] });
    await until('the daemon answering on its socket', async () => {
      const { ended } = this.daemon ?? {};
      if (ended) throw new Error(`the daemon ended (${ended.code ?? ended.signal}):\n${this.logTail()}`);
      return answers(this.socket);
    });
    return this;
  }

  /** Process id of the daemon, while it runs. */
  get pid() {
    return this.daemon?.pid;
  }

  /** Processes of running jobs: everything below the daemon. @returns {number[]} */
  jobs() {
    return this.pid === undefined ? [] : family(this.pid).slice(1);
  }

  /** Asks the daemon to stop and waits for its end. */
  async stop() {
    return this.daemon?.end('SIGTERM');
  }

  /** kill -9 of the daemon alone. */
  async kill() {
    return this.daemon?.end('SIGKILL');
  }

  /** The end of the daemon's log. @param {number} [count] lines */
  logTail(count = 40) {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n').slice(-count).join('\n') : '(no log)';
  }

  /** Empties a restore directory. */
  clearRestored() {
    rmSync(this.restored, { recursive: true, force: true });
    makeDirectory(this.restored);
  }

  /** Stops the daemon and removes everything. */
  async remove() {
    this.daemon?.killAll();
    await this.stop();
    removeDirectory(this.base);
  }
}
