import { existsSync } from 'node:fs';
import { MAIN_SECTION } from './assemble.js';
import { readTextFile } from './files/read.js';
import { interpretSection, withDefaults } from './interpret.js';
import { type LoadOptions, readSections } from './load.js';
import { MAIN_OPTIONS } from './options/index.js';
import { CLI_OPTIONS, type CliSettings } from './options/tools.js';
import type { Environment } from './text/decode.js';
import type { Section } from './text/document.js';
import { ProblemList } from './text/problem.js';

/** Where pgmoneta-cli looks when nothing is said. */
export const DEFAULT_CLI_PATH = '/etc/pgmoneta/pgmoneta_cli.conf';

/** What pgmoneta-cli was told by a file. */
export interface CliConfiguration {
  readonly path: string;
  /** `daemon` for a `pgmoneta.conf`, of which only `unix_socket_dir` counts. */
  readonly kind: 'cli' | 'daemon';
  readonly settings: CliSettings;
  readonly warnings: readonly string[];
}

function isDaemonFile(sections: readonly Section[]): boolean {
  const main = sections.find((section) => section.name === MAIN_SECTION);
  return main?.entries.some((entry) => entry.key === 'base_dir') === true;
}

function cliDefaults(environment: Environment): CliSettings {
  return withDefaults(new Map(), CLI_OPTIONS, environment) as unknown as CliSettings;
}

/**
 * Reads the text of a `pgmoneta_cli.conf`, whose section headers do not matter, or of a `pgmoneta.conf`, for the
 * socket of its daemon. Unknown keys are warnings: a client must not fail for a key of a newer version.
 * @throws PgmonetaError CONFIGURATION_INVALID with a line for each error
 */
export function readCliText(path: string, text: string, options: LoadOptions = {}): CliConfiguration {
  const environment = options.environment ?? process.env;
  const problems = new ProblemList(path, options.lenient);
  const sections = readSections(path, text, problems);
  if (isDaemonFile(sections)) {
    const main = sections.find((section) => section.name === MAIN_SECTION) as Section;
    const socketOnly = { ...main, entries: main.entries.filter((entry) => entry.key === 'unix_socket_dir') };
    const given = interpretSection(socketOnly, MAIN_OPTIONS, { environment, problems });
    problems.throwIfAny();
    const directory = given.get('unix_socket_dir')?.value as string | undefined;
    const settings = { ...cliDefaults(environment), unix_socket_dir: directory ?? null };
    return { path, kind: 'daemon', settings, warnings: [...problems.warnings] };
  }
  const merged: Section = {
    name: 'pgmoneta-cli',
    line: undefined,
    entries: sections.flatMap((section) => section.entries),
  };
  const known = { ...merged, entries: merged.entries.filter((entry) => Object.hasOwn(CLI_OPTIONS, entry.key)) };
  for (const entry of merged.entries) {
    if (known.entries.includes(entry)) continue;
    problems.add({ severity: 'warning', line: entry.line, key: entry.key, message: 'pgmoneta-cli has no such key' });
  }
  const given = interpretSection(known, CLI_OPTIONS, { environment, problems });
  problems.throwIfAny();
  const settings = withDefaults(given, CLI_OPTIONS, environment) as unknown as CliSettings;
  return { path, kind: 'cli', settings, warnings: [...problems.warnings] };
}

/**
 * Reads the file of `-c`, or the default file.
 * @returns `null` when no file was named and the default one does not exist
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND or CONFIGURATION_INVALID
 */
export function loadCliConfiguration(
  named?: string,
  options: LoadOptions = {},
  defaultPath: string = DEFAULT_CLI_PATH,
): CliConfiguration | null {
  if (named === undefined && !existsSync(defaultPath)) return null;
  const path = named ?? defaultPath;
  const { text } = readTextFile(path, 'the configuration file', 'name another file with -c');
  return readCliText(path, text, options);
}
