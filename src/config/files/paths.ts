import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PgmonetaError } from '../../errors/index.js';

/** Where the files are looked for when nothing is said. */
export const DEFAULT_DIRECTORY = '/etc/pgmoneta';

/** The files of a configuration. */
export interface ConfigurationPaths {
  /** `pgmoneta.conf` or `pgmoneta.toml`. */
  readonly main: string;
  /** `pgmoneta_users.conf`. */
  readonly users: string;
  /** `pgmoneta_admins.conf`, when there is one. */
  readonly admins?: string | undefined;
}

/** What the command line says about files. */
export interface PathOptions {
  readonly config?: string | undefined;
  readonly users?: string | undefined;
  readonly admins?: string | undefined;
  readonly directory?: string | undefined;
}

const MAIN_NAMES = ['pgmoneta.conf', 'pgmoneta.toml'];
const USERS_NAME = 'pgmoneta_users.conf';
const ADMINS_NAME = 'pgmoneta_admins.conf';

function firstExisting(directories: readonly string[], names: readonly string[]): string | undefined {
  for (const directory of directories) {
    for (const name of names) {
      const candidate = join(directory, name);
      if (existsSync(candidate)) return candidate;
    }
  }
  return undefined;
}

function checkDirectory(directory: string, source: string): void {
  const refuse = (why: string, cause?: unknown) =>
    new PgmonetaError('CONFIGURATION_NOT_FOUND', `the configuration directory ${directory} (from ${source}) ${why}`, {
      cause,
      hint: 'name an existing directory with -D or PGMONETA_CONFIG_DIR',
      context: { path: directory },
    });
  try {
    if (!statSync(directory).isDirectory()) throw refuse('is not a directory');
    accessSync(directory, constants.R_OK | constants.X_OK);
  } catch (error) {
    if (error instanceof PgmonetaError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(code === 'ENOENT' ? 'does not exist' : `cannot be used: ${(error as Error).message}`, error);
  }
}

/**
 * Finds the files of a configuration: an explicit file wins, then the directory of `-D` or `PGMONETA_CONFIG_DIR`,
 * then `/etc/pgmoneta`. In a directory `pgmoneta.conf` comes before `pgmoneta.toml`. A file that exists nowhere keeps
 * the path where it is expected, so that the error of its reader names that.
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND when the directory, or an admins file named explicitly, is not there
 */
export function resolveConfigurationPaths(
  options: PathOptions,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  defaultDirectory: string = DEFAULT_DIRECTORY,
): ConfigurationPaths {
  const directory = options.directory ?? (environment.PGMONETA_CONFIG_DIR || undefined);
  if (directory !== undefined)
    checkDirectory(directory, options.directory === undefined ? 'PGMONETA_CONFIG_DIR' : '-D');
  const directories = directory === undefined ? [defaultDirectory] : [directory, defaultDirectory];
  const expected = directories[0] as string;
  if (options.admins !== undefined && !existsSync(options.admins)) {
    throw new PgmonetaError('CONFIGURATION_NOT_FOUND', `the admins file ${options.admins} does not exist`, {
      hint: `create it with: pgmoneta-admin -f ${options.admins} user add`,
      context: { path: options.admins },
    });
  }
  const admins = options.admins ?? firstExisting(directories, [ADMINS_NAME]);
  return {
    main: options.config ?? firstExisting(directories, MAIN_NAMES) ?? join(expected, MAIN_NAMES[0] as string),
    users: options.users ?? firstExisting(directories, [USERS_NAME]) ?? join(expected, USERS_NAME),
    ...(admins === undefined ? {} : { admins }),
  };
}
