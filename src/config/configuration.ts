import type { ConfigurationPaths } from './files/paths.js';
import type { MainSettings, ServerSettings } from './options/index.js';

/** A configuration as it was read: plain data, frozen in spirit; changes make a new one. */
export interface Configuration {
  readonly main: MainSettings;
  /** In the order of the file. */
  readonly servers: readonly ServerSettings[];
  readonly files: ConfigurationPaths;
  /** What was odd but passed over; to be logged once. */
  readonly warnings: readonly string[];
}

/** The server of a name, as its section has it. */
export function findServer(configuration: Configuration, name: string): ServerSettings | undefined {
  return configuration.servers.find((server) => server.name === name);
}
