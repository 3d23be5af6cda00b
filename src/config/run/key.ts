import { PgmonetaError } from '../../errors/index.js';
import { MAIN_SECTION } from '../assemble.js';
import { type Configuration, findServer } from '../configuration.js';
import type { Option } from '../option.js';
import { findOption, MAIN_OPTIONS, OBSOLETE_KEYS, SERVER_OPTIONS } from '../options/index.js';
import { closest } from '../text/suggest.js';

/** A key of `conf set`, resolved. */
export interface ResolvedKey {
  /** The plain key, as in the file. */
  readonly key: string;
  readonly row: Option<unknown>;
  /** `null` for the main section. */
  readonly server: string | null;
}

const FORMS = "use 'key', 'pgmoneta.key' or 'server.<name>.key'";

function unknownKey(given: string, key: string, server: string | null): PgmonetaError {
  const table = server === null ? MAIN_OPTIONS : SERVER_OPTIONS;
  const obsolete = Object.hasOwn(OBSOLETE_KEYS, key) ? OBSOLETE_KEYS[key] : undefined;
  const misplaced =
    server === null && findOption(SERVER_OPTIONS, key)
      ? `it is a key of servers: use server.<name>.${key}`
      : server !== null && findOption(MAIN_OPTIONS, key)
        ? `it is a key of [${MAIN_SECTION}]: use ${key}`
        : undefined;
  const near = closest(key.toLowerCase(), Object.keys(table));
  const suggestion = obsolete ?? misplaced ?? (near === undefined ? undefined : `did you mean ${near}?`);
  const text = suggestion === undefined ? '' : `; ${suggestion}`;
  return new PgmonetaError('CONF_SET_UNKNOWN_KEY', `the configuration has no key ${given}${text}`, {
    hint: 'see the keys with: pgmoneta-cli conf get',
  });
}

/**
 * Resolves `key`, `pgmoneta.key` or `server.<name>.key`. The name of a server may have dots in it.
 * @throws PgmonetaError CONF_SET_NOCONFIG_KEY_OR_VALUE, CONF_SET_UNKNOWN_KEY or CONF_SET_UNKNOWN_SERVER
 */
export function resolveKey(configuration: Configuration, given: string): ResolvedKey {
  if (given === '') {
    throw new PgmonetaError('CONF_SET_NOCONFIG_KEY_OR_VALUE', 'conf set came without a key', { hint: FORMS });
  }
  const parts = given.split('.');
  const key = parts.at(-1) as string;
  const isServer = parts[0] === 'server' && parts.length >= 3;
  const isMain = parts.length === 1 || (parts.length === 2 && parts[0] === MAIN_SECTION);
  if (parts.includes('') || (!isServer && !isMain)) {
    throw new PgmonetaError('CONF_SET_UNKNOWN_KEY', `Invalid key format: '${given}'`, { hint: FORMS });
  }
  const server = isServer ? parts.slice(1, -1).join('.') : null;
  if (server !== null && findServer(configuration, server) === undefined) {
    const names = configuration.servers.map((candidate) => candidate.name);
    const near = closest(server, names);
    const suggestion = near === undefined ? `there is: ${names.join(', ')}` : `did you mean ${near}?`;
    throw new PgmonetaError('CONF_SET_UNKNOWN_SERVER', `the configuration has no server ${server}; ${suggestion}`, {
      hint: FORMS,
    });
  }
  const row = findOption(server === null ? MAIN_OPTIONS : SERVER_OPTIONS, key);
  if (row === undefined) throw unknownKey(given, key, server);
  return { key, row, server };
}
