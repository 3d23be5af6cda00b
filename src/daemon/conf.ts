import {
  type ConfigurationPaths,
  persistConfigurationValue,
  reloadConfiguration,
  setConfigurationValue,
} from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import type { JsonObject } from '../jobs/messages.js';
import { flag, optionalText } from '../jobs/request.js';
import { readCredentials } from './credentials.js';
import type { DaemonState } from './state.js';

/**
 * Reads the files again. Either everything that can change in a running daemon is taken over, or, when anything is
 * wrong, nothing; what needs a restart is kept as it is and reported.
 */
export async function reload(
  state: DaemonState,
  paths: ConfigurationPaths,
): Promise<Awaited<ReturnType<typeof reloadConfiguration>>> {
  try {
    const result = reloadConfiguration(state.configuration, paths, { lenient: state.lenient });
    for (const warning of result.next.warnings) state.log.warn(warning);
    const credentials = await readCredentials(result.next);
    state.log.reconfigure(result.next.main);
    state.configuration = result.next;
    state.credentials = credentials;
    for (const change of result.restartRequired) {
      state.log.warn(`restart required for ${change.key} - existing ${change.current} new ${change.requested}`);
    }
    state.log.info(`configuration reloaded: ${result.applied.length} settings changed`, {
      applied: result.applied.join(','),
    });
    return result;
  } catch (error) {
    const known = error as PgmonetaError;
    state.log.error(`reload refused, the running configuration is unchanged: ${known.message}`);
    throw new PgmonetaError('CONF_RELOAD_ERROR', known.message, { cause: error, hint: known.hint });
  }
}

/** `conf reload`. */
export async function reloadVerb(state: DaemonState, paths: ConfigurationPaths): Promise<JsonObject> {
  const { applied, restartRequired } = await reload(state, paths);
  return {
    Applied: applied,
    Restart: restartRequired.length > 0,
    RestartRequired: restartRequired.map((change) => change.key),
  };
}

/** `conf set`; with `Persist` the file is written first, so that a failure changes nothing. */
export async function setVerb(state: DaemonState, request: JsonObject): Promise<JsonObject> {
  const key = optionalText(request, 'ConfigKey');
  const value = optionalText(request, 'ConfigValue');
  if (key === undefined || value === undefined) {
    throw new PgmonetaError('CONF_SET_NOCONFIG_KEY_OR_VALUE', 'conf set needs a key and a value');
  }
  const { next, result } = setConfigurationValue(state.configuration, key, value, {
    users: new Set(state.credentials.users.keys()),
  });
  const persist = flag(request, 'Persist');
  if (persist) await persistConfigurationValue(state.configuration, key, value);
  state.log.reconfigure(next.main);
  state.configuration = next;
  const written = persist ? `; written to ${next.files.main}` : '';
  state.log.info(`conf set ${key}: ${String(result.message)}${written}`);
  return persist ? { ...result, persisted_to: next.files.main } : result;
}
