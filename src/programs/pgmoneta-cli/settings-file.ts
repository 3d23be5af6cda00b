import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeOrdinary, decodePath } from '../../config/text/decode.js';
import { type IniSection, parseIni } from '../../config/text/ini.js';
import { PgmonetaError } from '../../errors/index.js';

/** What a configuration file tells the client. */
export interface FileSettings {
  readonly path: string;
  readonly unixSocketDir: string | undefined;
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly compression: string | undefined;
  readonly encryption: string | undefined;
  readonly output: string | undefined;
  /** Only with log_type = file. */
  readonly logPath: string | undefined;
}

const DIRECTORY = '/etc/pgmoneta';

/** Section of the daemon's own configuration. */
const DAEMON_SECTION = 'pgmoneta';

/**
 * Reads the file that -c names, or the first there is of: `pgmoneta_cli.conf`, `pgmoneta.conf` in
 * `$PGMONETA_CONFIG_DIR` and in `/etc/pgmoneta`.
 * @returns undefined when no file was named and none of the default ones is there
 * @throws PgmonetaError CONFIGURATION_NOT_FOUND when the named file cannot be read
 */
export async function readSettingsFile(named: string | undefined): Promise<FileSettings | undefined> {
  if (named !== undefined) return parseSettings(named, await load(named));
  const directories = [process.env.PGMONETA_CONFIG_DIR, DIRECTORY].filter((directory) => directory !== undefined);
  for (const directory of directories) {
    for (const name of ['pgmoneta_cli.conf', 'pgmoneta.conf']) {
      const path = join(directory, name);
      if (await readable(path)) return parseSettings(path, await load(path));
    }
  }
  return undefined;
}

/** Interprets a file. One with a [pgmoneta] section is the daemon's: only its socket is of interest. */
export function parseSettings(path: string, text: string): FileSettings {
  const { sections } = parseIni(text);
  const daemon = sections.find((section) => section.name === DAEMON_SECTION);
  if (daemon !== undefined) return { ...EMPTY, path, unixSocketDir: pathOf([daemon], 'unix_socket_dir', path) };
  const output = ordinary(sections, 'output')?.toLowerCase();
  if (output !== undefined && !['text', 'json', 'raw'].includes(output)) {
    throw new PgmonetaError(
      'CONFIGURATION_INVALID',
      `${path}: output = ${output} is not known; allowed: text, json, raw`,
    );
  }
  return {
    path,
    unixSocketDir: pathOf(sections, 'unix_socket_dir', path),
    host: ordinary(sections, 'host'),
    port: ordinary(sections, 'port'),
    compression: ordinary(sections, 'compression'),
    encryption: ordinary(sections, 'encryption'),
    output,
    logPath: ordinary(sections, 'log_type') === 'file' ? pathOf(sections, 'log_path', path) : undefined,
  };
}

const EMPTY = {
  host: undefined,
  port: undefined,
  compression: undefined,
  encryption: undefined,
  output: undefined,
  logPath: undefined,
} as const;

function entryOf(
  sections: readonly IniSection[],
  key: string,
): { readonly raw: string; readonly line: number } | undefined {
  // Keys of the client's file are not sensitive to case; the last one counts.
  return sections.flatMap((section) => section.entries).findLast((entry) => entry.key.toLowerCase() === key);
}

function ordinary(sections: readonly IniSection[], key: string): string | undefined {
  const entry = entryOf(sections, key);
  const text = entry === undefined ? '' : decodeOrdinary(entry.raw).text;
  return text === '' ? undefined : text;
}

function pathOf(sections: readonly IniSection[], key: string, file: string): string | undefined {
  const entry = entryOf(sections, key);
  if (entry === undefined) return undefined;
  const { text, problem } = decodePath(entry.raw, process.env);
  if (problem !== undefined)
    throw new PgmonetaError('CONFIGURATION_INVALID', `${file}:${entry.line}: ${key}: ${problem}`);
  return text === '' ? undefined : text;
}

async function readable(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}

async function load(path: string): Promise<string> {
  if (!(await readable(path))) {
    throw new PgmonetaError('CONFIGURATION_NOT_FOUND', `Configuration file not found or not a regular file: ${path}`, {
      hint: 'name an existing file with -c',
    });
  }
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new PgmonetaError('CONFIGURATION_NOT_FOUND', `Can't read configuration file: ${path}: ${error.message}`, {
      cause: error,
      hint: 'run as a user who may read the file, or name another one with -c',
    });
  });
  if (text.includes('\0')) {
    throw new PgmonetaError(
      'CONFIGURATION_INVALID',
      `Configuration file contains binary data or invalid path: ${path}`,
    );
  }
  return path.endsWith('.toml') ? tomlAsIni(path, text) : text;
}

/** Of a TOML file only the socket of the daemon is of interest. */
async function tomlAsIni(path: string, text: string): Promise<string> {
  const { default: toml } = await import('toml');
  try {
    const { pgmoneta } = toml.parse(text) as { pgmoneta?: { unix_socket_dir?: unknown } };
    const directory = pgmoneta?.unix_socket_dir;
    return typeof directory === 'string' ? `[pgmoneta]\nunix_socket_dir = "${directory}"\n` : '[pgmoneta]\n';
  } catch (error) {
    throw new PgmonetaError('CONFIGURATION_INVALID', `${path}: ${(error as Error).message}`, { cause: error });
  }
}
