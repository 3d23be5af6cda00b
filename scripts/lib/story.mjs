import { Failure, seconds } from './run.mjs';

const BOLD = process.stdout.isTTY ? '\u001b[1m' : '';
const PLAIN = process.stdout.isTTY ? '\u001b[0m' : '';

/** A demonstration told step by step: what is done, the command as a user would type it, what it said, how long it took. */
export class Story {
  #number = 0;
  #start = performance.now();
  /** @type {{title: string, took: string}[]} */
  #steps = [];

  /** @param {string} text */
  line(text) {
    process.stdout.write(`${text}\n`);
  }

  /**
   * One step.
   * @template T
   * @param {string} title @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  async step(title, action) {
    this.line(`\n${BOLD}${++this.#number}. ${title}${PLAIN}`);
    const start = performance.now();
    const result = await action();
    const took = seconds(start);
    this.#steps.push({ title, took });
    this.line(`   (${took} s)`);
    return result;
  }

  /** Shows a command. @param {string[]} words */
  command(words) {
    this.line(`   $ ${words.map(quote).join(' ')}`);
  }

  /** Shows text, indented. @param {string} text @param {number} [most] lines */
  output(text, most = 60) {
    const lines = text.trimEnd().split('\n');
    for (const line of lines.slice(0, most)) this.line(`     ${line}`);
    if (lines.length > most) this.line(`     ... ${lines.length - most} more lines`);
  }

  /** The table of all steps. */
  summary() {
    this.line(`\n${BOLD}What each step took${PLAIN}`);
    for (const { title, took } of this.#steps) this.line(`  ${took.padStart(6)} s  ${title}`);
    this.line(`  ${seconds(this.#start).padStart(6)} s  in all`);
  }
}

/** A word as one types it in a shell. @param {string} word */
function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Fails when two sets of checksums differ, naming what differs. @param {Record<string, string>} source @param {Record<string, string>} copy */
export function compare(source, copy) {
  const names = [...new Set([...Object.keys(source), ...Object.keys(copy)])];
  const different = names.filter((name) => source[name] !== copy[name]);
  if (different.length === 0) return names.length;
  throw new Failure(
    `${different.length} of ${names.length} tables differ after the restore: ${different.slice(0, 5).join('; ')}`,
    'run again with --keep and look at both servers',
  );
}
