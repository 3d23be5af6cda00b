import { extname } from 'node:path';
import { type Assembled, assemble, MAIN_SECTION } from './assemble.js';
import type { Configuration } from './configuration.js';
import { checkFiles } from './files/check.js';
import type { ConfigurationPaths } from './files/paths.js';
import { readTextFile } from './files/read.js';
import { OTHERS } from './files/secret.js';
import type { Environment } from './text/decode.js';
import { readIniDocument, type Section } from './text/document.js';
import { ProblemList } from './text/problem.js';
import { readTomlDocument } from './text/toml.js';
import { parseVaultLines } from './text/vault-lines.js';
import { validate } from './validate.js';

/** How a configuration is read. */
export interface LoadOptions {
  /** What pgmoneta 0.21 only warned about (unknown keys, bad values) is a warning here too. */
  readonly lenient?: boolean;
  /** Variables for `$NAME` in paths and for defaults; the default is that of the process. */
  readonly environment?: Environment;
}

/** Reads the sections of a file; the format follows from its name. */
export function readSections(path: string, text: string, problems: ProblemList): readonly Section[] {
  return extname(path) === '.toml' ? readTomlDocument(text, problems) : readIniDocument(text, problems);
}

function readUserNames(path: string): Set<string> {
  const { text } = readTextFile(path, 'the users file', `create it with: pgmoneta-admin -f ${path} user add`);
  return new Set(parseVaultLines(text).entries.map((entry) => entry.user));
}

/** Turns text into settings and judges them; `users` is `null` where the users file does not matter. */
export function readConfigurationText(
  path: string,
  text: string,
  users: Set<string> | null,
  options: LoadOptions = {},
): Assembled & { warnings: readonly string[]; problems: ProblemList } {
  const problems = new ProblemList(path, options.lenient);
  const assembled = assemble(readSections(path, text, problems), options.environment ?? process.env, problems);
  validate(assembled, users, problems);
  return { ...assembled, warnings: problems.warnings, problems };
}

/**
 * Reads and judges the configuration: all errors at once.
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND when the main or users file cannot be read, CONFIGURATION_INVALID with
 *   one line `file:line: key = value: what is wrong; allowed: ...` for each error
 */
export function loadConfiguration(paths: ConfigurationPaths, options: LoadOptions = {}): Configuration {
  const { text, mode } = readTextFile(
    paths.main,
    'the configuration file',
    'name the file with -c, or its directory with -D or PGMONETA_CONFIG_DIR',
  );
  const { main, servers, holdsSecret, problems } = readConfigurationText(
    paths.main,
    text,
    readUserNames(paths.users),
    options,
  );
  if (holdsSecret && (mode & OTHERS) !== 0) {
    problems.add({
      severity: 'warning',
      message: `the file holds a secret and can be read by others (mode ${mode.toString(8)}); use: chmod 600 ${paths.main}`,
    });
  }
  checkFiles(main, servers, problems);
  problems.throwIfAny();
  return { main, servers, files: paths, warnings: [...problems.warnings] };
}

export { MAIN_SECTION };
