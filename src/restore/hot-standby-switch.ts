import { rename, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PgmonetaError } from '../errors/index.js';
import { exchange, removeTree, syncDirectory } from '../native/fs.js';
import { renameDurable } from '../repository/durable.js';
import { type CopyPaths, entriesOf, kindOf, type TablespaceLink, tablespaceLinks } from './hot-standby-paths.js';
import { refuseRunningCopy, runningServer } from './hot-standby-running.js';
import { adoptState, controlDigest, settleState } from './hot-standby-state.js';

/** Longer than a server takes from entering its data directory to its PID file, in milliseconds. */
const START_MS = 200;

/** What an exchange that is made of three renames leaves when it is cut short. */
const aside = (path: string): string => `${path}.exchange`;

/**
 * Lets what was built and the copy change places, in one step where the system can. Tablespaces need no step of their
 * own: the links of what was built lead to directories of their own, beside those of the old copy.
 * @param control digest of the copy's control file when the update began; empty when there was no copy
 * @throws PgmonetaError HOT_STANDBY when somebody has started the copy meanwhile: it is where it was then
 */
export async function switchCopies(paths: CopyPaths, control: string): Promise<void> {
  await refuseStarted(paths.copy, control);
  if ((await kindOf(paths.copy)) === 'absent') await renameDurable(paths.building, paths.copy);
  else {
    await exchange(paths.building, paths.copy);
    try {
      // A server that was being started while the two changed places is found in the old directory; one that has just
      // entered it writes its PID file in the next moments.
      await refuseStarted(paths.building, control);
      await pause(START_MS);
      await refuseStarted(paths.building, control);
    } catch (error) {
      await exchange(paths.building, paths.copy);
      throw error;
    }
  }
  await adoptState(paths);
}

async function refuseStarted(dataDirectory: string, control: string): Promise<void> {
  await refuseRunningCopy(dataDirectory);
  if ((await controlDigest(dataDirectory)) === control) return;
  throw new PgmonetaError('HOT_STANDBY', `${dataDirectory} has been started while its copy was renewed`, {
    hint: 'the next backup renews it, unless a server runs in it then',
    retryable: true,
  });
}

/**
 * Brings to its end what a process that died has left: of an exchange, of a state, of the tablespaces of a copy that has
 * its name already. What was being built is removed.
 * @throws PgmonetaError HOT_STANDBY when a server runs in the copy
 */
export async function settleCopy(paths: CopyPaths): Promise<void> {
  await refuseRunningCopy(paths.copy);
  if ((await runningServer(paths.building)) !== undefined) await refuseRunningCopy(paths.building);
  if ((await kindOf(aside(paths.building))) !== 'absent') {
    if ((await kindOf(paths.copy)) === 'absent') await renameDurable(aside(paths.building), paths.copy);
    else await removeTree(aside(paths.building));
  }
  await settleState(paths);
  await finishTablespaces(paths);
  for (const { place } of await tablespaceLinks(paths)) await removeTree(join(place, paths.tablespaceBuilding));
  await removeTree(paths.building);
}

/** Moves the tablespaces of the copy from where they were built to their places. */
export async function finishTablespaces(paths: CopyPaths): Promise<void> {
  for (const link of await tablespaceLinks(paths)) {
    if (!link.finished) await finishTablespace(paths, link);
  }
}

/**
 * The copy finds its files at any moment: each directory changes places with a link that, where the directory was,
 * leads to where it is.
 */
async function finishTablespace(paths: CopyPaths, { oid, target: built, place }: TablespaceLink): Promise<void> {
  await settleEntries(built, place);
  for (const name of await entriesOf(built)) {
    if ((await kindOf(join(built, name))) !== 'directory') continue;
    await removeTree(join(place, name));
    await symlink(join('..', name), join(place, name));
    await syncDirectory(place);
    await exchange(join(built, name), join(place, name));
  }
  await removeTree(paths.link);
  await symlink(place, paths.link);
  const links = join(paths.copy, 'pg_tblspc');
  await rename(paths.link, join(links, oid));
  await syncDirectory(links);
  await removeTree(built);
}

/** Settles exchanges of three renames: the directory goes back to where it was, or on to where it belongs. */
async function settleEntries(built: string, place: string): Promise<void> {
  for (const entry of await entriesOf(built)) {
    if (!entry.endsWith('.exchange')) continue;
    const from = join(built, entry);
    const name = entry.slice(0, -'.exchange'.length);
    const to = (await kindOf(join(built, name))) === 'absent' ? join(built, name) : join(place, name);
    await renameDurable(from, to);
    if (dirname(to) === place) await syncDirectory(built);
  }
}
