import { asPgmonetaError, PgmonetaError } from '../../errors/index.js';
import { type Configuration, findServer } from '../configuration.js';
import type { ConfigurationPaths } from '../files/paths.js';
import { type LoadOptions, loadConfiguration } from '../load.js';
import type { OptionTable } from '../option.js';
import { MAIN_OPTIONS, type MainSettings, SERVER_OPTIONS, type ServerSettings } from '../options/index.js';
import { rowsOf, sameValue, shownText } from './shown.js';

/** A changed value that a running daemon cannot take over. Texts, secrets masked. */
export interface RestartRequired {
  /** `key`, `server.<name>.key`, or `server.<name>` for a server that came or went. */
  readonly key: string;
  readonly current: string;
  readonly requested: string;
}

/** What a reload came to. */
export interface ReloadResult {
  /** The configuration to run with: changed hot values, and the running ones where a restart is needed. */
  readonly next: Configuration;
  /** Keys whose new values are in `next`. */
  readonly applied: readonly string[];
  /** Those of them whose listener has to move: bind the new address before `next` is used. */
  readonly rebind: readonly string[];
  readonly restartRequired: readonly RestartRequired[];
}

interface Changes {
  readonly applied: string[];
  readonly rebind: string[];
  readonly restartRequired: RestartRequired[];
}

function mergeSettings<S extends MainSettings | ServerSettings>(
  table: OptionTable,
  prefix: string,
  current: S,
  fresh: S,
  changes: Changes,
): S {
  const merged: Record<string, unknown> = { ...current };
  const wanted = fresh as unknown as Readonly<Record<string, unknown>>;
  for (const { key, row, value } of rowsOf(table, current)) {
    const requested = wanted[key];
    if (sameValue(row, value, requested)) continue;
    const name = `${prefix}${key}`;
    if (row.reload === 'restart') {
      changes.restartRequired.push({ key: name, current: shownText(row, value), requested: shownText(row, requested) });
      continue;
    }
    merged[key] = requested;
    changes.applied.push(name);
    if (row.reload === 'rebind') changes.rebind.push(name);
  }
  return merged as unknown as S;
}

/** Compares a running configuration with a freshly read one. Pure. Servers are matched by name, not by place. */
export function mergeConfigurations(current: Configuration, fresh: Configuration): ReloadResult {
  const changes: Changes = { applied: [], rebind: [], restartRequired: [] };
  const main = mergeSettings(MAIN_OPTIONS, '', current.main, fresh.main, changes);
  const servers = current.servers.map((server) => {
    const wanted = findServer(fresh, server.name);
    if (wanted !== undefined) return mergeSettings(SERVER_OPTIONS, `server.${server.name}.`, server, wanted, changes);
    changes.restartRequired.push({ key: `server.${server.name}`, current: 'present', requested: 'absent' });
    return server;
  });
  for (const { name } of fresh.servers) {
    if (findServer(current, name) === undefined) {
      changes.restartRequired.push({ key: `server.${name}`, current: 'absent', requested: 'present' });
    }
  }
  return { next: { ...current, main, servers, warnings: fresh.warnings }, ...changes };
}

/**
 * Reads the files again. All or nothing: with any error in them nothing changes.
 * @throws PgmonetaError CONF_RELOAD_ERROR with the text of every error; the running configuration goes on
 */
export function reloadConfiguration(
  current: Configuration,
  paths: ConfigurationPaths = current.files,
  options: LoadOptions = {},
): ReloadResult {
  let fresh: Configuration;
  try {
    fresh = loadConfiguration(paths, options);
  } catch (error) {
    const { message, hint, context } = asPgmonetaError(error);
    throw new PgmonetaError('CONF_RELOAD_ERROR', `nothing was reloaded: ${message}`, { cause: error, hint, context });
  }
  return mergeConfigurations(current, fresh);
}
