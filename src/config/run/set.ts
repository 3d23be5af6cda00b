import { PgmonetaError } from '../../errors/index.js';
import { type Configuration, findServer } from '../configuration.js';
import { checkFiles } from '../files/check.js';
import { defaultOf } from '../option.js';
import type { MainSettings, ServerSettings } from '../options/index.js';
import { nearestLevel } from '../options/level.js';
import { type Environment, expandVariables } from '../text/decode.js';
import { ProblemList } from '../text/problem.js';
import { validate } from '../validate.js';
import { ValueError } from '../values/value-type.js';
import { type ResolvedKey, resolveKey } from './key.js';
import { sameValue, shownText } from './shown.js';

/** The reply to `conf set`. Values are texts, secrets masked. */
export type SetResult =
  | {
      readonly status: 'success';
      readonly message: string;
      readonly config_key: string;
      readonly old_value: string;
      readonly new_value: string;
      readonly restart_required: false;
    }
  | {
      readonly status: 'success_restart_required';
      readonly message: string;
      readonly config_key: string;
      readonly requested_value: string;
      readonly current_value: string;
      readonly restart_required: true;
    };

/** What a `conf set` came to. */
export interface SetOutcome {
  /** The configuration to run with; the same object when nothing changed or a restart is needed. */
  readonly next: Configuration;
  /** The reply. */
  readonly result: SetResult;
  /** Keys whose listener has to move before `next` is used. */
  readonly rebind: readonly string[];
}

/** Surroundings of `conf set`. */
export interface SetOptions {
  readonly environment?: Environment;
  /** Names in the users file; without them a new `user` is not looked up. */
  readonly users?: Iterable<string>;
}

function refused(given: string, target: ResolvedKey, value: string, why: string, cause?: unknown): PgmonetaError {
  const shown = target.row.secret ? '' : ` = ${value.slice(0, 200)}`;
  return new PgmonetaError('CONF_SET_ERROR', `${given}${shown}: ${why}; allowed: ${target.row.type.allowed}`, {
    cause,
    hint: 'nothing was changed; see the manual page on configuration for the key',
  });
}

function readValue(
  given: string,
  target: ResolvedKey,
  text: string,
  settings: object,
  environment: Environment,
): unknown {
  const { row } = target;
  if (row.settable === false) throw refused(given, target, text, 'the key cannot be set in a running daemon');
  if (text === '') {
    if (row.required) throw refused(given, target, text, 'the key is required and cannot be unset');
    const uid = process.getuid?.() ?? 0;
    return defaultOf(row, { environment, uid, settings: settings as Readonly<Record<string, unknown>> });
  }
  const decoded = row.type.expands ? expandVariables(text, environment) : { text };
  if ('problem' in decoded && decoded.problem) throw refused(given, target, text, decoded.problem);
  try {
    return row.type.read(decoded.text);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    const near = error.suggestion === undefined ? '' : `; did you mean ${error.suggestion}?`;
    throw refused(given, target, text, `${error.message}${near}`, error);
  }
}

function withValue(current: Configuration, target: ResolvedKey, value: unknown): Configuration {
  if (target.server !== null) {
    const servers = current.servers.map((server) =>
      server.name === target.server ? ({ ...server, [target.key]: value } as ServerSettings) : server,
    );
    return { ...current, servers };
  }
  const main = { ...current.main, [target.key]: value } as MainSettings;
  return { ...current, main: { ...main, compression_level: nearestLevel(main.compression, main.compression_level) } };
}

function checkWhole(
  given: string,
  target: ResolvedKey,
  text: string,
  changed: Configuration,
  options: SetOptions,
): void {
  const problems = new ProblemList(changed.files.main);
  const users = options.users === undefined ? null : new Set(options.users);
  validate({ main: changed.main, servers: changed.servers, lines: new Map(), holdsSecret: false }, users, problems);
  checkFiles(changed.main, changed.servers, problems);
  const [first] = problems.errors;
  if (first === undefined) return;
  throw refused(given, target, text, first.replace(`${changed.files.main}: `, ''));
}

/**
 * Sets a key of a running configuration. Pure but for the look at files that settings name: the caller takes over
 * `next`, and binds the listeners of `rebind` first. A key that needs a restart is judged like any other and reported.
 * @param key `key`, `pgmoneta.key` or `server.<name>.key`
 * @param value as it would stand in the file, without quotes; "" goes back to the default
 * @throws PgmonetaError CONF_SET_NOCONFIG_KEY_OR_VALUE (2702), CONF_SET_UNKNOWN_KEY (2704), CONF_SET_UNKNOWN_SERVER
 *   (2705), CONF_SET_ERROR (2707) with the allowed values
 */
export function setConfigurationValue(
  current: Configuration,
  key: string,
  value: string,
  options: SetOptions = {},
): SetOutcome {
  const target = resolveKey(current, key);
  const settings = target.server === null ? current.main : (findServer(current, target.server) as ServerSettings);
  const text = value.trim();
  const before = (settings as unknown as Readonly<Record<string, unknown>>)[target.key];
  const wanted = readValue(key, target, text, settings, options.environment ?? process.env);
  const changed = withValue(current, target, wanted);
  checkWhole(key, target, text, changed, options);
  const { row } = target;
  if (row.reload === 'restart' && !sameValue(row, before, wanted)) {
    return {
      next: current,
      rebind: [],
      result: {
        status: 'success_restart_required',
        message: 'Configuration change requires restart. Current values preserved.',
        config_key: key,
        requested_value: shownText(row, wanted),
        current_value: shownText(row, before),
        restart_required: true,
      },
    };
  }
  const after =
    target.server === null ? (changed.main as unknown as Readonly<Record<string, unknown>>)[target.key] : wanted;
  return {
    next: changed,
    rebind: row.reload === 'rebind' && !sameValue(row, before, wanted) ? [target.key] : [],
    result: {
      status: 'success',
      message: 'Configuration change applied successfully',
      config_key: key,
      old_value: shownText(row, before),
      new_value: shownText(row, after),
      restart_required: false,
    },
  };
}
