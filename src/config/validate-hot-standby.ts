import { isAbsolute, join, resolve } from 'node:path';
import { copyOf, MOST_HOT_STANDBYS, parseMappings } from './hot-standby.js';
import type { MainSettings, ServerSettings } from './options/index.js';

type Report = (key: string, message: string, severity?: 'error' | 'warning') => void;

/** Whether one of two paths is the other, or in it. */
function overlap(one: string, other: string): boolean {
  return `${other}/`.startsWith(`${one}/`) || `${one}/`.startsWith(`${other}/`);
}

/**
 * Judges the hot standbys of a server. What is refused here would let a copy replace something else: the repository,
 * another copy, the second copy of the WAL.
 * @param servers all of the configuration
 */
export function checkHotStandby(
  report: Report,
  server: ServerSettings,
  main: MainSettings,
  servers: readonly ServerSettings[],
): void {
  const { name, hot_standby, hot_standby_overrides, hot_standby_tablespaces } = server;
  if (hot_standby.length > MOST_HOT_STANDBYS) {
    report('hot_standby', `only the first ${MOST_HOT_STANDBYS} directories are used`, 'warning');
  }
  for (const [key, list] of Object.entries({ hot_standby_overrides, hot_standby_tablespaces })) {
    if (list.length > hot_standby.length) report(key, 'the list has more entries than hot_standby', 'warning');
  }
  const used = hot_standby.slice(0, MOST_HOT_STANDBYS);
  for (const directory of used) checkDirectory(report, 'hot_standby', directory);
  const copies = used.filter((directory) => isAbsolute(directory)).map((directory) => copyOf(directory, name));
  const taken = takenPlaces(server, main, servers);
  copies.forEach((copy, index) => {
    if (copies.indexOf(copy) < index)
      report('hot_standby', `the directory ${copy.slice(0, -name.length - 1)} is named twice`);
    else checkFree(report, 'hot_standby', `the copy ${copy}`, copy, [...taken, ...others(copies, index)]);
  });
  hot_standby_overrides.slice(0, used.length).forEach((directory) => {
    if (directory === '') return;
    checkDirectory(report, 'hot_standby_overrides', directory);
    const places = copies.map((copy) => ({ path: copy, what: 'a copy' }));
    checkFree(report, 'hot_standby_overrides', `the directory ${directory}`, resolve(directory), places);
  });
  checkMappings(report, server, copies, taken);
}

/** A path that something else has, and what that is. */
interface Place {
  readonly path: string;
  readonly what: string;
}

function takenPlaces(server: ServerSettings, main: MainSettings, servers: readonly ServerSettings[]): Place[] {
  const places: Place[] = [];
  // A required key that is missing is told elsewhere.
  if (typeof main.base_dir === 'string') places.push({ path: resolve(main.base_dir), what: 'base_dir' });
  for (const other of servers) {
    if (other.wal_shipping !== null) {
      places.push({ path: join(resolve(other.wal_shipping), other.name), what: `wal_shipping of [${other.name}]` });
    }
    if (other === server) continue;
    for (const directory of other.hot_standby.slice(0, MOST_HOT_STANDBYS)) {
      places.push({ path: copyOf(directory, other.name), what: `a copy of [${other.name}]` });
    }
  }
  return places;
}

function others(copies: readonly string[], index: number): Place[] {
  return copies.flatMap((path, other) => (other < index ? [{ path, what: 'another copy' }] : []));
}

function checkDirectory(report: Report, key: string, directory: string): void {
  if (!isAbsolute(directory)) report(key, `the directory '${directory}' is not absolute`);
}

function checkFree(report: Report, key: string, subject: string, path: string, places: readonly Place[]): void {
  const place = places.find((other) => overlap(path, other.path));
  if (place === undefined) return;
  const how = place.path === path ? 'is' : path.startsWith(`${place.path}/`) ? 'is in' : 'has in it';
  const where = place.path === path ? '' : ` (${place.path})`;
  report(key, `${subject} ${how} ${place.what}${where}; choose another directory`);
}

function checkMappings(
  report: Report,
  server: ServerSettings,
  copies: readonly string[],
  taken: readonly Place[],
): void {
  const key = 'hot_standby_tablespaces';
  const seen = new Set<string>();
  for (const text of server.hot_standby_tablespaces.slice(0, MOST_HOT_STANDBYS)) {
    let mappings: ReturnType<typeof parseMappings>;
    try {
      mappings = parseMappings(text);
    } catch (error) {
      report(key, (error as Error).message);
      continue;
    }
    const places = [...taken, ...copies.map((path) => ({ path, what: 'a copy' }))];
    for (const { to } of mappings) {
      if (seen.has(to)) report(key, `two copies would have a tablespace in ${to}`);
      seen.add(to);
      checkFree(report, key, `the tablespace directory ${to}`, to, places);
    }
  }
}
