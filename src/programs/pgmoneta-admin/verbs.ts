import { asPgmonetaError } from '../../errors/index.js';
import { addUser, createMasterKey, deleteUser, editUser, listUsers } from '../../security/index.js';
import type { CommandInput, FlagValues } from '../shared/declare.js';
import { EXIT } from '../shared/exit-codes.js';
import { renderJson } from '../shared/render/json.js';
import { renderText } from '../shared/render/text.js';
import { UsageError } from '../shared/usage-error.js';
import { MASTER_KEY, takePassword, USER_PASSWORD } from './password-source.js';
import { Prompter } from './prompt.js';
import { type AdminCommand, failureResult, successResult } from './result.js';

/** What a verb works with. */
interface Session {
  readonly flags: FlagValues;
  readonly prompter: Prompter;
  /** A line for the person: on standard output, or beside it when that is JSON. */
  readonly tell: (line: string) => void;
}

/** `master-key` */
export function masterKey(input: CommandInput): Promise<number> {
  return carryOut('master-key', input, async ({ flags, prompter, tell }) => {
    const { password } = await takePassword(MASTER_KEY, flags, prompter, tell);
    await createMasterKey({ password });
    return undefined;
  });
}

/** `user add`, `user edit` */
export function addOrEdit(command: 'user add' | 'user edit', input: CommandInput): Promise<number> {
  return carryOut(command, input, async ({ flags, prompter, tell }) => {
    const file = fileOf(flags);
    const user = await userOf(flags, prompter);
    const { password, generated } = await takePassword(USER_PASSWORD, flags, prompter, tell);
    const { users } = await (command === 'user add' ? addUser : editUser)({ file, user, password });
    if (generated) tell(`${USER_PASSWORD.question}${password}`);
    return users;
  });
}

/** `user del` */
export function removeUser(input: CommandInput): Promise<number> {
  return carryOut('user del', input, async ({ flags, prompter }) => {
    const file = fileOf(flags);
    const { users } = await deleteUser({ file, user: await userOf(flags, prompter) });
    return users;
  });
}

/** `user ls`: in text the bare names come first. */
export function showUsers(input: CommandInput): Promise<number> {
  return carryOut('user ls', input, async ({ flags }) => {
    const { users } = await listUsers({ file: fileOf(flags) });
    if (flags.text('format') !== 'json') process.stdout.write(users.map((user) => `${user}\n`).join(''));
    return users;
  });
}

/** Does the work, then prints the result: never before it is done. */
async function carryOut(
  command: AdminCommand,
  { flags }: CommandInput,
  work: (session: Session) => Promise<readonly string[] | undefined>,
): Promise<number> {
  const json = flags.text('format') === 'json';
  const beside = json ? process.stderr : process.stdout;
  const prompter = new Prompter(process.stdin, beside);
  const started = performance.now();
  const print = json ? renderJson : renderText;
  try {
    const users = await work({ flags, prompter, tell: (line) => beside.write(`${line}\n`) });
    process.stdout.write(print(successResult(command, json, performance.now() - started, users)));
    return EXIT.ok;
  } catch (error) {
    const failure = asPgmonetaError(error);
    if (failure.code === 'USAGE' || failure.code === 'CANCELLED') throw failure;
    const what = command === 'master-key' ? 'Cannot generate master key' : `Error for <${command}>`;
    process.stderr.write(`pgmoneta-admin: ${what}: ${failure.message}\n`);
    if (failure.hint !== undefined) process.stderr.write(`hint: ${failure.hint}\n`);
    process.stdout.write(print(failureResult(command, json, failure)));
    return EXIT.failed;
  } finally {
    prompter.close();
  }
}

function fileOf(flags: FlagValues): string {
  const file = flags.text('file');
  if (file === undefined)
    throw new UsageError('Missing file argument', undefined, 'name the users or admins file with -f');
  return file;
}

async function userOf(flags: FlagValues, prompter: Prompter): Promise<string> {
  const given = flags.text('user');
  if (given !== undefined) return given;
  for (;;) {
    const user = await prompter.ask('User name: ', false);
    if (user !== '') return user;
  }
}
