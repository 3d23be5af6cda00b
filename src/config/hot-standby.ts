import { isAbsolute, join, resolve } from 'node:path';
import type { ServerSettings } from './options/index.js';
import { ValueError } from './values/value-type.js';

/** Hot standbys of one server; pgmoneta 0.21 has the same limit, warns of more and leaves them out. */
export const MOST_HOT_STANDBYS = 8;

/** Where one tablespace of a hot standby goes. */
export interface TablespaceMapping {
  /** An OID, or the path that the tablespace has on its server. */
  readonly from: string;
  readonly to: string;
}

/** One directory that is kept as a copy of the newest backup. */
export interface HotStandby {
  /** Absolute, without a slash at its end; the copy is `<directory>/<server>`. */
  readonly directory: string;
  /** Directory whose files replace those of the copy. */
  readonly overrides: string | undefined;
  readonly mappings: readonly TablespaceMapping[];
}

/** The three settings that belong together. */
export type HotStandbySettings = Pick<
  ServerSettings,
  'hot_standby' | 'hot_standby_overrides' | 'hot_standby_tablespaces'
>;

/**
 * Reads `from -> to[, from -> to]*`. The first arrow of a pair divides it: paths may have `-` and `>` in them.
 * @throws ValueError naming the pair that is not right
 */
export function parseMappings(text: string): readonly TablespaceMapping[] {
  if (text.trim() === '') return [];
  const pairs = text.split(',').map((pair) => {
    const arrow = pair.indexOf('->');
    const from = pair.slice(0, Math.max(arrow, 0)).trim();
    const to = pair.slice(arrow + 2).trim();
    if (arrow < 0 || from === '' || to === '') throw new ValueError(`'${pair.trim()}' is not FROM -> TO`);
    if (!/^[0-9]+$/.test(from) && !isAbsolute(from)) {
      throw new ValueError(`'${from}' is neither the OID of a tablespace nor its absolute path`);
    }
    if (!isAbsolute(to)) throw new ValueError(`the directory '${to}' for tablespace ${from} is not absolute`);
    return { from: isAbsolute(from) ? resolve(from) : from, to: resolve(to) };
  });
  for (const key of ['from', 'to'] as const) {
    const twice = pairs.find((pair, index) => pairs.findIndex((other) => other[key] === pair[key]) < index);
    if (twice !== undefined) throw new ValueError(`'${twice[key]}' stands on the same side of two arrows`);
  }
  return pairs;
}

/**
 * The hot standbys of a server: the i-th overrides and the i-th mappings belong to the i-th directory.
 * @throws ValueError for mappings that are not right, which loading a configuration refuses
 */
export function hotStandbysOf(settings: HotStandbySettings): readonly HotStandby[] {
  return settings.hot_standby.slice(0, MOST_HOT_STANDBYS).map((directory, index) => {
    const overrides = settings.hot_standby_overrides[index] ?? '';
    return {
      directory: resolve(directory),
      overrides: overrides === '' ? undefined : resolve(overrides),
      mappings: parseMappings(settings.hot_standby_tablespaces[index] ?? ''),
    };
  });
}

/** The data directory of a copy. */
export function copyOf(directory: string, server: string): string {
  return join(resolve(directory), server);
}
