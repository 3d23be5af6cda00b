/** Processes of the product: commands that run to their end, and the daemon. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { onExit } from './cleanup.mjs';
import { family, signal } from './processes.mjs';
import { identity, runtime } from './runtime.mjs';

/** @typedef {'pgmoneta' | 'pgmoneta-cli' | 'pgmoneta-admin'} ProgramName */
/** @typedef {{exit: number, stdout: string, stderr: string, seconds: number}} ProgramResult exit 255: ended by a signal */
/** @typedef {{input?: string, timeout?: number, env?: NodeJS.ProcessEnv, cwd?: string}} ProgramOptions timeout in milliseconds */

/** The program's starter, where the user of servers and daemons can read it. @param {ProgramName} program */
function starter(program) {
  return path.join(runtime().root, 'bin', `${program}.js`);
}

/**
 * Starts a program as the user of servers and daemons; it is killed when its time is over.
 * @param {ProgramName} program @param {string[]} args @param {ProgramOptions} options
 */
export function launch(program, args, options) {
  const start = performance.now();
  const child = spawn(runtime().node, [starter(program), ...args], {
    ...identity(),
    cwd: options.cwd,
    env: options.env,
    stdio: 'pipe',
  });
  const forget = onExit(() => signal(child.pid, 'SIGKILL'));
  const timer = setTimeout(() => signal(child.pid, 'SIGKILL'), options.timeout ?? 240_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  // A program that ends before it reads its input closes the pipe: its exit code tells enough.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  /** @type {Promise<ProgramResult>} */
  const result = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, name) => {
      clearTimeout(timer);
      forget();
      if (name) stderr += `\n(ended by ${name})`;
      resolve({ exit: code ?? 255, stdout, stderr, seconds: (performance.now() - start) / 1000 });
    });
  });
  return { child, result };
}

/** Whether something accepts connections on a Unix socket. @param {string} socket @returns {Promise<boolean>} */
export function answers(socket) {
  return new Promise((resolve) => {
    const probe = net.createConnection(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

/** A running daemon. */
export class Daemon {
  #child;
  #exit;
  /** How it ended, once it has. @type {{code: number | null, signal: NodeJS.Signals | null} | undefined} */
  ended;

  /** @param {{args: string[], env: NodeJS.ProcessEnv, cwd: string, log: string, wrap: string[]}} options */
  constructor(options) {
    const [file = '', ...args] = [...options.wrap, runtime().node, starter('pgmoneta'), ...options.args];
    const log = openSync(options.log, 'a', 0o644);
    this.#child = spawn(file, args, { ...identity(), cwd: options.cwd, env: options.env, stdio: ['ignore', log, log] });
    const forget = onExit(() => this.killAll());
    this.#exit = new Promise((resolve) => {
      this.#child.once('exit', (code, name) => {
        this.ended = { code, signal: name };
        forget();
        resolve(undefined);
      });
    });
  }

  /** Process id, while it runs. */
  get pid() {
    return this.ended ? undefined : this.#child.pid;
  }

  /**
   * Sends a signal and waits for the end; after a minute it is killed with all its jobs.
   * @param {NodeJS.Signals} name
   */
  async end(name) {
    if (!this.ended) {
      signal(this.#child.pid, name);
      const timer = setTimeout(() => this.killAll(), 60_000);
      await this.#exit;
      clearTimeout(timer);
    }
    return this.ended;
  }

  /** kill -9 of the daemon and everything below it. */
  killAll() {
    if (this.pid !== undefined) for (const member of family(this.pid).reverse()) signal(member, 'SIGKILL');
  }
}
