import { asPgmonetaError, PgmonetaError } from '../../errors/index.js';
import { checkMasterPassword, checkUserPassword, generatePassword } from '../../security/password.js';
import type { FlagValues } from '../shared/declare.js';
import { UsageError } from '../shared/usage-error.js';
import type { Prompter } from './prompt.js';

/** A password, and whether nobody knows it yet. */
export interface GivenPassword {
  readonly password: string;
  readonly generated: boolean;
}

/** What differs between a user's password and the master key. */
export interface PasswordKind {
  readonly question: string;
  readonly check: (password: string) => void;
}

export const USER_PASSWORD: PasswordKind = { question: 'Password : ', check: checkUserPassword };
export const MASTER_KEY: PasswordKind = { question: 'Master key: ', check: checkMasterPassword };

const VERIFY = 'Verify   : ';

/**
 * Takes a password from -P, else -g, else PGMONETA_PASSWORD, else asks twice without echo until both answers agree.
 * @throws PgmonetaError ADMIN_REFUSED for a password that is not possible and was not typed
 */
export async function takePassword(
  kind: PasswordKind,
  flags: FlagValues,
  prompter: Prompter,
  tell: (line: string) => void,
): Promise<GivenPassword> {
  const given = flags.text('password');
  if (given !== undefined) return checked(kind, given);
  if (flags.has('generate')) return { password: generatePassword(lengthOf(flags)), generated: true };
  const environment = process.env.PGMONETA_PASSWORD;
  if (environment !== undefined && environment !== '') return checked(kind, environment);
  for (;;) {
    const password = await prompter.ask(kind.question, true);
    const problem = problemOf(kind, password);
    if (problem !== undefined) {
      tell(problem);
    } else if ((await prompter.ask(VERIFY, true)) === password) {
      return { password, generated: false };
    } else {
      tell('Passwords do not match');
    }
  }
}

function checked(kind: PasswordKind, password: string): GivenPassword {
  kind.check(password);
  return { password, generated: false };
}

function problemOf(kind: PasswordKind, password: string): string | undefined {
  try {
    kind.check(password);
    return undefined;
  } catch (error) {
    if (!(error instanceof PgmonetaError)) throw asPgmonetaError(error);
    return error.message;
  }
}

function lengthOf(flags: FlagValues): number | undefined {
  const text = flags.text('length');
  if (text === undefined) return undefined;
  if (!/^\d{1,4}$/.test(text)) throw new UsageError(`Invalid password length: ${text}`, undefined, 'use 1 to 1024');
  return Number(text);
}
