import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top folder of the checkout. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A failure that a person can act on: printed without a stack. */
export class Failure extends Error {
  /**
   * @param {string} message what happened
   * @param {string} [hint] what to do next
   */
  constructor(message, hint) {
    super(message);
    this.name = 'Failure';
    this.hint = hint;
  }
}

/**
 * Runs a program and collects or shows what it prints.
 * @param {string} file program
 * @param {string[]} args arguments
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, echo?: boolean, prefix?: string}} [options]
 *   `echo` shows the output as it comes; without it the output is kept back
 * @returns {Promise<{exit: number, output: string}>} exit code (128 + signal when killed), stdout and stderr together
 */
export function run(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd ?? ROOT,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    /** @type {Buffer[]} */
    const chunks = [];
    const collect = (/** @type {NodeJS.WriteStream} */ target) => (/** @type {Buffer} */ chunk) => {
      chunks.push(chunk);
      if (options.echo) target.write(chunk);
    };
    child.stdout.on('data', collect(process.stdout));
    child.stderr.on('data', collect(process.stderr));
    child.on('error', (error) => reject(new Failure(`${file} could not be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      resolve({ exit: code ?? (signal ? 130 : 1), output: Buffer.concat(chunks).toString('utf8') });
    });
  });
}

/**
 * Like `run`, but any exit code but 0 is a `Failure` that carries the end of the output.
 * @param {string} file
 * @param {string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, echo?: boolean, hint?: string}} [options]
 */
export async function must(file, args, options = {}) {
  const result = await run(file, args, options);
  if (result.exit === 0) return result.output;
  const tail = options.echo ? '' : `\n${result.output.trimEnd().split('\n').slice(-40).join('\n')}`;
  throw new Failure(
    `'${[path.basename(file), ...args].join(' ')}' failed with exit code ${result.exit}${tail}`,
    options.hint,
  );
}

/** Seconds since `start` (`performance.now()`), with one decimal. @param {number} start */
export function seconds(start) {
  return ((performance.now() - start) / 1000).toFixed(1);
}

/**
 * The frame of a script: runs `main`, prints a failure plainly, sets the exit code.
 * @param {string} name name of the script in its messages
 * @param {() => Promise<number | void>} main
 */
export async function script(name, main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    if (error.hint) process.stderr.write(`${name}: hint: ${error.hint}\n`);
    process.exitCode = 1;
  }
}
