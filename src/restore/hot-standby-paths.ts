import { lstat, readdir, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The names of one copy. All but the first start with a dot, which no server does. */
export interface CopyPaths {
  /** The configured directory. */
  readonly directory: string;
  /** The data directory that can be started: `<directory>/<server>`. */
  readonly copy: string;
  /** Where the next one is built, and after the exchange the last one goes. */
  readonly building: string;
  /** What is known of the copy, see `hot-standby-state.ts`. */
  readonly state: string;
  /** The state of the copy that is being built; it counts from the exchange on. */
  readonly nextState: string;
  /** A link on its way to its name. */
  readonly link: string;
  /** Name of the directory that a tablespace is built in, within its place. */
  readonly tablespaceBuilding: string;
}

/** Names below a configured directory. */
export function copyPaths(directory: string, server: string): CopyPaths {
  return {
    directory,
    copy: join(directory, server),
    building: join(directory, `.${server}.new`),
    state: join(directory, `.${server}.json`),
    nextState: join(directory, `.${server}.next.json`),
    link: join(directory, `.${server}.link`),
    tablespaceBuilding: `.${server}.new`,
  };
}

/** A link in the `pg_tblspc` of a copy. */
export interface TablespaceLink {
  readonly oid: string;
  /** What it points to. */
  readonly target: string;
  /** The directory of the tablespace: the target, or the one above it while the last update has not come to its end. */
  readonly place: string;
  readonly finished: boolean;
}

/** The links of a data directory to its tablespaces; none when it is not there. */
export async function tablespaceLinks(paths: CopyPaths): Promise<readonly TablespaceLink[]> {
  const directory = join(paths.copy, 'pg_tblspc');
  const links: TablespaceLink[] = [];
  for (const oid of await entriesOf(directory)) {
    if (!/^[0-9]+$/.test(oid)) continue;
    // An entry that is no link is a tablespace in place: it moves with the data directory.
    const target = await readlink(join(directory, oid)).catch(() => undefined);
    if (target === undefined) continue;
    const finished = basename(target) !== paths.tablespaceBuilding;
    links.push({ oid, target, place: finished ? target : dirname(target), finished });
  }
  return links;
}

/** Names in a directory; none when there is no such directory. */
export async function entriesOf(directory: string): Promise<readonly string[]> {
  return readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}

/** What stands under a name, links not followed. */
export async function kindOf(path: string): Promise<'absent' | 'directory' | 'link' | 'other'> {
  const status = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (status === undefined) return 'absent';
  if (status.isSymbolicLink()) return 'link';
  return status.isDirectory() ? 'directory' : 'other';
}
