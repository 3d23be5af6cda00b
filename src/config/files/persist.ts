import { realpath, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { PgmonetaError } from '../../errors/index.js';
import { MAIN_SECTION } from '../assemble.js';
import type { Configuration } from '../configuration.js';
import { resolveKey } from '../run/key.js';
import { setIniValue } from '../text/edit-ini.js';
import { setTomlValue } from '../text/edit-toml.js';
import { encodeOrdinary, encodePath } from '../text/encode.js';
import { replaceFile } from './durable.js';
import { readTextFile } from './read.js';

/**
 * The text of a configuration file with one key set; comments and all other lines stay.
 * @param value as `conf set` takes it, without quotes
 * @returns `null` when the file cannot be edited line by line
 */
export function editConfigurationText(
  path: string,
  text: string,
  target: { readonly section: string; readonly key: string; readonly expands: boolean },
  value: string,
): string | null {
  if (extname(path) === '.toml') return setTomlValue(text, target.section, target.key, value);
  // `$NAME` in a path keeps its meaning as a variable, as it has in `conf set`; the rest is quoted where needed.
  const encoded = !target.expands
    ? encodeOrdinary(value)
    : value.includes('$')
      ? `"${value.replace(/["\\]/g, '\\$&')}"`
      : encodePath(value);
  return setIniValue(text, target.section, target.key, encoded, target.expands);
}

/**
 * Writes the value of a key into the main configuration file: for `conf set --persist`, after `setConfigurationValue`
 * has accepted it. The file is replaced atomically and durably, keeping mode, owner and comments; behind a symbolic
 * link its target is replaced.
 * @throws PgmonetaError CONF_SET_ERROR when the file cannot be edited or written, CONFIGURATION_NOT_FOUND, and the
 *   errors of `resolveKey`
 */
export async function persistConfigurationValue(
  configuration: Configuration,
  key: string,
  value: string,
): Promise<void> {
  const path = configuration.files.main;
  const target = resolveKey(configuration, key);
  const { text } = readTextFile(path, 'the configuration file');
  const section = target.server ?? MAIN_SECTION;
  const place = { section, key: target.key, expands: target.row.type.expands === true };
  const after = editConfigurationText(path, text, place, value.trim());
  if (after === null) {
    throw new PgmonetaError(
      'CONF_SET_ERROR',
      `${key} was not written to ${path}: [${section}] cannot be edited there`,
      {
        hint: `set ${target.key} in ${path} by hand`,
        context: { path },
      },
    );
  }
  try {
    const real = await realpath(path);
    const { mode, uid, gid } = await stat(real);
    await replaceFile(real, after, { mode: mode & 0o7777, uid, gid });
  } catch (error) {
    throw new PgmonetaError('CONF_SET_ERROR', `${key} was not written to ${path}: ${(error as Error).message}`, {
      cause: error,
      hint: `make ${path} and its directory writable for the user of the daemon, or edit the file by hand`,
      context: { path },
    });
  }
}
