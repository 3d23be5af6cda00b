import { splitLines } from './ini.js';

/** A line of a users or admins file. */
export interface VaultLine {
  readonly user: string;
  /** Base64 of the sealed password. */
  readonly sealed: string;
  /** Line number, from 1. */
  readonly line: number;
}

/** A line that is no entry. */
export interface VaultLineProblem {
  readonly line: number;
  readonly message: string;
}

/**
 * Splits the text of a users or admins file into its entries. Blank lines are passed over, a `#` or `;` starts a
 * comment, and the first two non-empty parts between colons are the name and the sealed password.
 * Source of the format: the users files of pgmoneta 0.21. Pure, no I/O.
 */
export function parseVaultLines(text: string): { entries: VaultLine[]; problems: VaultLineProblem[] } {
  const entries: VaultLine[] = [];
  const problems: VaultLineProblem[] = [];
  for (const [index, whole] of splitLines(text).entries()) {
    const comment = whole.search(/[#;]/);
    const content = (comment < 0 ? whole : whole.slice(0, comment)).trim();
    if (content === '') continue;
    const [user, sealed] = content
      .split(':')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    if (user === undefined || sealed === undefined) {
      problems.push({ line: index + 1, message: 'the line is not of the form user:password' });
    } else {
      entries.push({ user, sealed, line: index + 1 });
    }
  }
  return { entries, problems };
}
