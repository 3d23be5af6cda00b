import { readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FileOwner, kindOf, syncDirectory, writeBeside } from '../config/files/durable.js';
import { readTextFile } from '../config/files/read.js';
import { splitLines } from '../config/text/ini.js';
import { parseVaultLines } from '../config/text/vault-lines.js';
import { PgmonetaError } from '../errors/index.js';
import { withLockFile } from './lock-file.js';

function refused(path: string, why: string, hint: string, cause?: unknown): PgmonetaError {
  return new PgmonetaError('ADMIN_REFUSED', `the users file ${path} ${why}`, { hint, cause, context: { path } });
}

/** A line of the file, with the user it is of. */
interface NumberedLine {
  readonly text: string;
  readonly user: string | undefined;
}

function linesOf(text: string): NumberedLine[] {
  const users = new Map(parseVaultLines(text).entries.map((entry) => [entry.line, entry.user]));
  const lines = splitLines(text);
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, index) => ({ text: line, user: users.get(index + 1) }));
}

/** The text with a line for a new user at its end. */
export function withUserAdded(text: string, line: string): string {
  return [...linesOf(text).map((existing) => existing.text), line].map((existing) => `${existing}\n`).join('');
}

/** The text with a user's line replaced, or dropped (`null`); all other lines stay as they are. */
export function withUserReplaced(text: string, user: string, line: string | null): string {
  let pending = line;
  const kept: string[] = [];
  for (const existing of linesOf(text)) {
    if (existing.user !== user) {
      kept.push(existing.text);
    } else if (pending !== null) {
      kept.push(pending);
      pending = null;
    }
  }
  return kept.map((existing) => `${existing}\n`).join('');
}

/** The user names in the text, in order, each once. */
export function userNames(text: string): string[] {
  return [...new Set(parseVaultLines(text).entries.map((entry) => entry.user))];
}

async function ownerOf(path: string, mayBeMissing: boolean): Promise<{ text: string; owner: FileOwner }> {
  const kind = await kindOf(path);
  if (kind === 'missing' && mayBeMissing) return { text: '', owner: { mode: 0o600 } };
  if (kind === 'missing') throw refused(path, 'does not exist', `create it with: pgmoneta-admin -f ${path} user add`);
  if (kind === 'link') throw refused(path, 'is a symbolic link', 'name the file that it points to');
  if (kind !== 'file') throw refused(path, 'is not a regular file', 'name a file');
  const { uid, gid } = await stat(path);
  return { text: readTextFile(path, 'the users file').text, owner: { mode: 0o600, uid, gid } };
}

/**
 * Changes a users file: under a lock, written whole beside the old file, fsynced, read back and checked before it
 * takes the old one's place. The new file has mode 0600 and the owner of the old one.
 * @param change the new text from the old one; throws to leave everything as it is
 * @param check judges the text as it was read back; throws to leave everything as it is
 * @throws PgmonetaError ADMIN_REFUSED
 */
export async function editVaultFile(
  path: string,
  options: { mayBeMissing: boolean },
  change: (text: string) => string,
  check: (text: string) => void,
): Promise<void> {
  try {
    await withLockFile(`${path}.lock`, async () => {
      const { text, owner } = await ownerOf(path, options.mayBeMissing);
      const temporary = await writeBeside(path, change(text), owner);
      try {
        check(await readFile(temporary, 'utf8'));
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await syncDirectory(dirname(path));
    });
  } catch (error) {
    if (error instanceof PgmonetaError) throw error;
    throw refused(
      path,
      `cannot be changed: ${(error as Error).message}`,
      `check that ${dirname(path)} exists and can be written`,
      error,
    );
  }
}
