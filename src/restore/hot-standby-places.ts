import { access, constants, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { TablespaceMapping } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import type { TablespaceDestination } from '../native/restore.js';
import type { TablespaceInfo } from '../repository/backup-info.js';
import { makeDirectories } from '../repository/directories.js';
import { type CopyPaths, entriesOf, kindOf, tablespaceLinks } from './hot-standby-paths.js';

/** Where a tablespace of a copy stands, and where it is built: within that place, so that it may be a mount point. */
export interface TablespacePlace extends TablespaceDestination {
  readonly place: string;
  /** Whether the directory was not there before. */
  readonly made: boolean;
}

/** What decides the places of tablespaces. */
export interface PlacesOrder {
  readonly server: string;
  readonly paths: CopyPaths;
  readonly mappings: readonly TablespaceMapping[];
  /** The mappings of the server's directories that come before this one in the configuration. */
  readonly before: readonly (readonly TablespaceMapping[])[];
  readonly tablespaces: readonly TablespaceInfo[];
  readonly baseDir: string;
}

/**
 * Chooses a place for each tablespace and makes its directory: where it is mapped to; else where pgmoneta 0.21 has it,
 * `<original path>hs`, if that can be used and no earlier copy of this server has it; else
 * `<directory>/<server>-tblspc_<name>`. A place that has files of PostgreSQL is used only if the copy has them.
 * @throws PgmonetaError HOT_STANDBY when there is none
 */
export async function planPlaces(order: PlacesOrder): Promise<readonly TablespacePlace[]> {
  const own = new Set((await tablespaceLinks(order.paths)).map(({ place }) => resolve(place)));
  const places: TablespacePlace[] = [];
  for (const tablespace of order.tablespaces) {
    const taken = places.map(({ place }) => place);
    const chosen = await choose(order, tablespace, own, taken);
    const directory = join(chosen.place, order.paths.tablespaceBuilding);
    places.push({ oid: tablespace.oid, name: tablespace.directory, ...chosen, directory, link: directory });
  }
  return places;
}

async function choose(
  order: PlacesOrder,
  tablespace: TablespaceInfo,
  own: ReadonlySet<string>,
  taken: readonly string[],
): Promise<Pick<TablespacePlace, 'place' | 'made'>> {
  const candidates = candidatesFor(order, tablespace);
  let problem = '';
  for (const candidate of candidates) {
    const made = (await kindOf(candidate).catch(() => 'other')) === 'absent';
    const found = taken.includes(candidate)
      ? `${candidate} is the place of another tablespace`
      : await problemOf(candidate, own, order);
    if (found === undefined) return { place: candidate, made };
    problem = found;
  }
  const name = tablespace.directory.replace(/^tblspc_/, '');
  throw new PgmonetaError('HOT_STANDBY', `the tablespace ${name} (OID ${tablespace.oid}) has no place: ${problem}`, {
    hint: `map it to a directory of its own: hot_standby_tablespaces = ${tablespace.oid} -> /some/directory`,
  });
}

/** Best first. */
function candidatesFor({ server, paths, mappings, before }: PlacesOrder, tablespace: TablespaceInfo): string[] {
  const mapped = mappingOf(mappings, tablespace);
  if (mapped !== undefined) return [mapped];
  const own = join(paths.directory, `${server}-${tablespace.directory}`);
  if (tablespace.path === '' || before.some((earlier) => mappingOf(earlier, tablespace) === undefined)) return [own];
  return [`${resolve(tablespace.path)}hs`, own];
}

function mappingOf(mappings: readonly TablespaceMapping[], { oid, path }: TablespaceInfo): string | undefined {
  return mappings.find(({ from }) => from === oid || (path !== '' && from === resolve(path)))?.to;
}

/** Mappings that fit no tablespace, for a warning: the tablespace may be gone, or the mapping mistyped. */
export function unusedMappings({ mappings, tablespaces }: PlacesOrder): readonly TablespaceMapping[] {
  return mappings.filter(
    (mapping) => !tablespaces.some((tablespace) => mappingOf([mapping], tablespace) !== undefined),
  );
}

/** Makes the directory; tells why it cannot be used, undefined when it can. */
async function problemOf(
  place: string,
  own: ReadonlySet<string>,
  { baseDir, paths }: PlacesOrder,
): Promise<string | undefined> {
  try {
    await makeDirectories(place);
    if (!(await stat(place)).isDirectory()) return `${place} is not a directory`;
    await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
    const inside = `${await realpath(place)}/`;
    for (const other of [baseDir, paths.copy]) {
      const real = await realpath(other).catch(() => other);
      if (inside.startsWith(`${real}/`)) return `${place} is in ${other}`;
    }
  } catch (error) {
    return `${place} cannot be used: ${(error as Error).message}`;
  }
  if (own.has(place)) return undefined;
  const foreign = (await entriesOf(place)).find((name) => name.startsWith('PG_'));
  return foreign === undefined ? undefined : `${place} has files that are not of this copy (${foreign})`;
}
