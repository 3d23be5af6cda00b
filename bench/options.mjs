/** Options of the benchmarks: `--name value`, and switches without a value. */

/**
 * What an option takes: a number with its default and the least that is allowed (1 unless told); words, one or, with
 * `several`, a list of them divided by commas; or nothing, when it is a switch.
 * @typedef {{number: number, least?: number} | {words: readonly string[], several?: boolean} | {switch: true}} Option
 */

/**
 * Reads the options of a program. Words are always a list, undefined when the option is not given.
 * @template {Record<string, Option>} T
 * @param {string[]} args
 * @param {T} known
 * @returns {{[K in keyof T]: T[K] extends {number: number} ? number : T[K] extends {switch: true} ? boolean : string[] | undefined} | undefined}
 *   undefined when something is not as it should be
 */
export function parseOptions(args, known) {
  /** @type {Record<string, number | boolean | string[] | undefined>} */
  const values = {};
  for (const [name, option] of Object.entries(known)) {
    values[name] = 'number' in option ? option.number : 'switch' in option ? false : undefined;
  }
  const rest = [...args];
  while (rest.length > 0) {
    const name = rest.shift()?.replace(/^--/, '') ?? '';
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (option === undefined) return undefined;
    if ('switch' in option) {
      values[name] = true;
      continue;
    }
    const text = rest.shift() ?? '';
    if ('number' in option) {
      const value = Number(text);
      if (text === '' || !(value >= (option.least ?? 1))) return undefined;
      values[name] = value;
      continue;
    }
    const words = (option.several ? text.split(',') : [text]).map((word) => word.trim());
    if (!words.every((word) => option.words.includes(word))) return undefined;
    values[name] = words;
  }
  return /** @type {any} */ (values);
}

/** Prints one line. @param {string} line */
export const say = (line) => process.stdout.write(`${line}\n`);

/** @param {number} bytes */
export const megabytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(0)} MB`;

/**
 * Prints a table: the first column to the left, the others to the right.
 * @param {string[]} heads @param {string[][]} rows
 */
export function table(heads, rows) {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of [heads, ...rows]) {
    const cells = widths.map((width, column) => {
      const text = row[column] ?? '';
      return column === 0 ? text.padEnd(width) : text.padStart(width);
    });
    say(cells.join('  ').trimEnd());
  }
}
