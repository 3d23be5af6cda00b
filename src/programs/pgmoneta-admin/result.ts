import type { PgmonetaError } from '../../errors/index.js';
import { outcomeTime, timestamp } from '../../management/documents.js';
import type { JsonObject } from '../../management/json/index.js';
import { PROTOCOL_VERSION } from '../../management/version.js';

/** The commands, with their numbers in `Header.Command`. */
export const ADMIN_CODES = {
  'master-key': 100,
  'user add': 101,
  'user edit': 102,
  'user del': 103,
  'user ls': 104,
} as const;

export type AdminCommand = keyof typeof ADMIN_CODES;

function header(command: AdminCommand, json: boolean): JsonObject {
  return {
    ClientVersion: PROTOCOL_VERSION,
    Command: ADMIN_CODES[command],
    Compression: 0,
    Encryption: 0,
    Output: json ? 1 : 0,
    Timestamp: timestamp(new Date()),
  };
}

/** The result of a command that was carried out; `users` for the user commands. */
export function successResult(
  command: AdminCommand,
  json: boolean,
  elapsed: number,
  users: readonly string[] | undefined,
): JsonObject {
  const outcome = { Status: true, Time: outcomeTime(elapsed) };
  const result = { Header: header(command, json), Outcome: outcome };
  return users === undefined ? result : { ...result, Response: { Users: users } };
}

/** The result of a command that was refused. */
export function failureResult(command: AdminCommand, json: boolean, error: PgmonetaError): JsonObject {
  const hint = error.hint === undefined ? {} : { Hint: error.hint };
  return {
    Header: header(command, json),
    Outcome: { Error: 1, Status: false, Workflow: 'admin', Message: error.message, ...hint },
  };
}
