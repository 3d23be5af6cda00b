import { readTextFile } from '../config/files/read.js';
import { PgmonetaError } from '../errors/index.js';
import { type MasterKey, readMasterKey } from './master-key.js';
import { deriveMasterSecretAsync } from './master-secret.js';
import { checkUserPassword } from './password.js';
import { sealSmall } from './sealed.js';
import { openEntry, readVaultText } from './vault.js';
import { editVaultFile, userNames, withUserAdded, withUserReplaced } from './vault-edit.js';

/** What the verbs about users answer. */
export interface UsersResult {
  /** All names in the file after the change, in order. */
  readonly users: readonly string[];
}

/** Facts of `user add` and `user edit`. Prompts, generated passwords and output are the caller's. */
export interface UserPassword {
  /** The users or admins file. */
  readonly file: string;
  readonly user: string;
  readonly password: string;
  /** Where `.pgmoneta/master.key` is; the default is `$HOME`. */
  readonly home?: string;
}

/**
 * Checks the name of a user: 1 to 127 bytes of UTF-8 without `:`, `#`, `;`, control characters, blanks at its ends.
 * @throws PgmonetaError ADMIN_REFUSED
 */
export function checkUserName(name: string): void {
  const refuse = (why: string) =>
    new PgmonetaError('ADMIN_REFUSED', `the user name ${JSON.stringify(name.slice(0, 150))} ${why}`, {
      hint: 'choose another name: the format of the file has no way to write this one',
    });
  if (name === '') throw refuse('is empty');
  if (Buffer.byteLength(name) > 127) throw refuse('is longer than 127 bytes');
  if (name.trim() !== name) throw refuse('has a blank at its start or end');
  if (/[\ud800-\udfff]/u.test(name)) throw refuse('is not valid UTF-8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the check for them
  if (/[:#;\u0000-\u001f\u007f]/.test(name)) throw refuse('has a colon, #, ; or control character');
}

function sealedLine(user: string, password: string, secret: Buffer): string {
  return `${user}:${sealSmall(secret, Buffer.from(password, 'utf8')).toString('base64')}`;
}

/** Opens every entry, so that a file never mixes entries of two master keys. */
function checkAllOpen(file: string, text: string, secret: Buffer): void {
  for (const entry of readVaultText(file, text)) openEntry(file, entry, secret);
}

function checkWritten(file: string, text: string, expected: { user: string; password: string }, secret: Buffer): void {
  const entry = readVaultText(file, text).find((candidate) => candidate.user === expected.user);
  if (entry === undefined || openEntry(file, entry, secret) !== expected.password) {
    throw new PgmonetaError(
      'ADMIN_REFUSED',
      `the new users file ${file} cannot be read back; the old one is unchanged`,
      {
        hint: 'check the file system',
        context: { path: file },
      },
    );
  }
}

async function secretOf(home: string | undefined): Promise<Buffer> {
  const key: MasterKey = await readMasterKey(home);
  return deriveMasterSecretAsync(key);
}

/**
 * Adds a user. The file is created (0600) when it does not exist.
 * @throws PgmonetaError ADMIN_REFUSED when the name exists or is not possible, MASTER_KEY_INVALID, VAULT_INVALID when
 *   an entry that is there already cannot be opened with the master key
 */
export async function addUser({ file, user, password, home }: UserPassword): Promise<UsersResult> {
  checkUserName(user);
  checkUserPassword(password);
  const secret = await secretOf(home);
  let users: string[] = [];
  await editVaultFile(
    file,
    { mayBeMissing: true },
    (text) => {
      if (userNames(text).includes(user)) {
        throw new PgmonetaError('ADMIN_REFUSED', `Existing user: ${user}`, {
          hint: `change the password with: pgmoneta-admin -f ${file} -U ${user} user edit`,
          context: { path: file },
        });
      }
      checkAllOpen(file, text, secret);
      return withUserAdded(text, sealedLine(user, password, secret));
    },
    (text) => {
      checkWritten(file, text, { user, password }, secret);
      users = userNames(text);
    },
  );
  return { users };
}

function notFound(file: string, user: string, users: readonly string[]): PgmonetaError {
  return new PgmonetaError(
    'ADMIN_REFUSED',
    `User '${user}' not found in ${file}; there is: ${users.join(', ') || 'nobody'}`,
    {
      hint: `add the user with: pgmoneta-admin -f ${file} -U ${user} user add`,
      context: { path: file },
    },
  );
}

/**
 * Changes the password of a user. Other entries stay as they are, also those that cannot be opened.
 * @throws PgmonetaError ADMIN_REFUSED when there is no such user, MASTER_KEY_INVALID
 */
export async function editUser({ file, user, password, home }: UserPassword): Promise<UsersResult> {
  checkUserPassword(password);
  const secret = await secretOf(home);
  let users: string[] = [];
  await editVaultFile(
    file,
    { mayBeMissing: false },
    (text) => {
      if (!userNames(text).includes(user)) throw notFound(file, user, userNames(text));
      return withUserReplaced(text, user, sealedLine(user, password, secret));
    },
    (text) => {
      checkWritten(file, text, { user, password }, secret);
      users = userNames(text);
    },
  );
  return { users };
}

/** Removes a user. The master key is not needed. @throws PgmonetaError ADMIN_REFUSED when there is no such user */
export async function deleteUser({ file, user }: { file: string; user: string }): Promise<UsersResult> {
  let users: string[] = [];
  await editVaultFile(
    file,
    { mayBeMissing: false },
    (text) => {
      if (!userNames(text).includes(user)) throw notFound(file, user, userNames(text));
      return withUserReplaced(text, user, null);
    },
    (text) => {
      users = userNames(text);
    },
  );
  return { users };
}

/** The names in a users file, in order. The master key is not needed. @throws PgmonetaError ADMIN_REFUSED */
export async function listUsers({ file }: { file: string }): Promise<UsersResult> {
  try {
    return { users: userNames(readTextFile(file, 'the users file').text) };
  } catch (error) {
    if (!(error instanceof PgmonetaError)) throw error;
    throw new PgmonetaError('ADMIN_REFUSED', error.message, {
      hint: `create it with: pgmoneta-admin -f ${file} user add`,
      cause: error,
      context: { path: file },
    });
  }
}
