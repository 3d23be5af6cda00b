import { readFile } from 'node:fs/promises';
import { type Configuration, effectiveServer } from '../config/index.js';
import { asPgmonetaError } from '../errors/index.js';
import type { ServerState } from '../jobs/status.js';
import { probeServer, requireReady, type ServerFacts } from '../postgres/index.js';
import { writeTextDurable } from '../repository/durable.js';
import { serverPaths } from '../repository/paths.js';
import type { Log } from './log.js';
import type { Supervisor } from './supervisor.js';

/** How often servers are looked at, in milliseconds. */
const HEALTHY_INTERVAL = 600_000;
const TROUBLE_INTERVAL = 30_000;

/** A moment that lies longer ago than any interval. */
const NEVER = Number.NEGATIVE_INFINITY;

interface Known {
  /** What the operator said last; kept over restarts. */
  online: boolean;
  facts: ServerFacts | undefined;
  problem: string | undefined;
  /** By the clock that never jumps. */
  checkedAt: number;
}

/** What the daemon knows of its servers, looked at in the background so that no command waits for a dead server. */
export class ServerRegistry {
  readonly #known = new Map<string, Known>();
  readonly #log: Log;
  readonly #configuration: () => Configuration;
  readonly #passwordOf: (user: string) => string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(configuration: () => Configuration, passwordOf: (user: string) => string | undefined, log: Log) {
    this.#configuration = configuration;
    this.#passwordOf = passwordOf;
    this.#log = log;
  }

  /** Reads the stored modes and starts looking at the servers. */
  async start(): Promise<void> {
    for (const { name } of this.#configuration().servers) await this.#load(name);
    void this.#round();
    this.#timer = setInterval(() => void this.#round(), TROUBLE_INTERVAL);
    this.#timer.unref();
  }

  /** Stops looking. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async #load(name: string): Promise<Known> {
    const path = serverPaths(this.#configuration().main.base_dir, name).mode;
    const mode = (await readFile(path, 'utf8').catch(() => 'online')).trim();
    const known: Known = { online: mode !== 'offline', facts: undefined, problem: undefined, checkedAt: NEVER };
    this.#known.set(name, known);
    return known;
  }

  /** Whether the operator lets the server be used. */
  isOnline(name: string): boolean {
    return this.#known.get(name)?.online ?? true;
  }

  /** Keeps the operator's word; `online` is followed by a look at the server. */
  async setOnline(name: string, online: boolean): Promise<ServerState['problem']> {
    const known = this.#known.get(name) ?? (await this.#load(name));
    const path = serverPaths(this.#configuration().main.base_dir, name).mode;
    await writeTextDurable(path, online ? 'online\n' : 'offline\n');
    known.online = online;
    this.#log.info(`server ${name} is ${online ? 'online' : 'offline'}: set by the operator`);
    if (online) await this.#check(name, known);
    return known.problem;
  }

  /** Everything that `status` shows of the server. */
  state(name: string, supervisor: Supervisor): ServerState {
    const known = this.#known.get(name);
    return {
      online: known?.online ?? true,
      primary: known?.facts === undefined ? false : !known.facts.inRecovery,
      checksums: known?.facts?.dataChecksums ?? false,
      version: known?.facts?.majorVersion ?? 0,
      problem: known?.problem,
      active: {
        backup: supervisor.isActive(name, 'backup'),
        restore: supervisor.isActive(name, 'restore'),
        archive: supervisor.isActive(name, 'archive'),
        delete: supervisor.isActive(name, 'delete'),
        retention: supervisor.isActive(name, 'expire'),
      },
    };
  }

  async #round(): Promise<void> {
    for (const { name } of this.#configuration().servers) {
      const known = this.#known.get(name) ?? (await this.#load(name));
      const due = known.problem === undefined && known.facts !== undefined ? HEALTHY_INTERVAL : TROUBLE_INTERVAL;
      if (known.online && performance.now() - known.checkedAt >= due - 1000) await this.#check(name, known);
    }
  }

  async #check(name: string, known: Known): Promise<void> {
    known.checkedAt = performance.now();
    try {
      const server = effectiveServer(this.#configuration(), name);
      known.facts = await probeServer(server, this.#passwordOf(server.user));
      requireReady(known.facts, 'backup', name);
      if (known.problem !== undefined) this.#log.info(`server ${name} answers again`);
      known.problem = undefined;
    } catch (error) {
      const { message, hint } = asPgmonetaError(error);
      if (known.problem !== message) this.#log.warn(`server ${name}: ${message}${hint ? `; ${hint}` : ''}`);
      known.problem = message;
    }
  }
}
