import { PgmonetaError } from '../../errors/index.js';
import type { GivenValue } from '../interpret.js';
import type { OptionTable } from '../option.js';
import type { ProblemList } from '../text/problem.js';
import { readTextFile } from './read.js';

/** Bits that let others than the owner at a file. */
export const OTHERS = 0o077;

/**
 * Puts the content of `*_file` keys into the keys they stand for, without the line end.
 * Unreadable files, and keys given twice over, go to `problems`.
 */
export function resolveSecretFiles(
  given: Map<string, GivenValue>,
  table: OptionTable,
  section: string,
  problems: ProblemList,
): void {
  for (const [key, row] of Object.entries(table)) {
    const file = given.get(key);
    if (row.contentOf === undefined || file === undefined) continue;
    const problem = (message: string, severity: 'error' | 'warning' = 'error') =>
      problems.add({ severity, line: file.line, section, key, value: String(file.value), message });
    if (given.has(row.contentOf)) {
      problem(`${row.contentOf} is set as well; keep one of the two`);
      continue;
    }
    try {
      const { text, mode } = readTextFile(String(file.value), 'the secret file');
      if ((mode & OTHERS) !== 0) {
        problem(`the file can be read by others (mode ${mode.toString(8)}); use: chmod 600`, 'warning');
      }
      const value = text.replace(/[\r\n]+$/, '');
      if (value === '') problem('the file is empty');
      else given.set(row.contentOf, { value, line: file.line });
    } catch (error) {
      if (!(error instanceof PgmonetaError)) throw error;
      problem(error.message);
    }
  }
}
