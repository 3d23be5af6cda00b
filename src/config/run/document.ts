import type { Configuration } from '../configuration.js';
import { effectiveServer } from '../effective.js';
import type { OptionTable } from '../option.js';
import { MAIN_OPTIONS, type MainSettings, SERVER_OPTIONS, type ServerSettings } from '../options/index.js';
import type { Json } from '../values/value-type.js';
import { rowsOf, shownJson } from './shown.js';

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

function settingsDocument(table: OptionTable, settings: MainSettings | ServerSettings): JsonObject {
  const document: JsonObject = {};
  for (const { key, row, value } of rowsOf(table, settings)) document[key] = shownJson(row, value);
  return document;
}

/** The three paths of `conf ls`; the last is "" when no admins file is in use. */
export function settingsPaths(configuration: Configuration): JsonObject {
  const { main, users, admins } = configuration.files;
  return {
    main_configuration_path: main,
    users_configuration_path: users,
    admin_configuration_path: admins ?? '',
  };
}

/**
 * The Response of `conf get`: all main keys, then the servers by name. Types and names are those of pgmoneta (C);
 * secrets are masked, the S3 keys of a server are in the server's object, and lists are whole.
 */
export function configurationDocument(
  configuration: Configuration,
  state: { readonly online: (server: string) => boolean },
): JsonObject {
  const servers: JsonObject = {};
  for (const server of configuration.servers) {
    const effective = effectiveServer(configuration, server.name);
    servers[server.name] = {
      ...settingsDocument(SERVER_OPTIONS, server),
      online: state.online(server.name),
      progress: effective.progress,
      manifest_checksums: effective.manifest_checksums,
      manifest: effective.manifest_checksums.toUpperCase(),
    };
  }
  return {
    ...settingsDocument(MAIN_OPTIONS, configuration.main),
    manifest: configuration.main.manifest_checksums.toUpperCase(),
    ...settingsPaths(configuration),
    server: servers,
  };
}
