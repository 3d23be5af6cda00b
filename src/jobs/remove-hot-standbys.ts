import { type EffectiveServer, hotStandbysOf } from '../config/of-server.js';
import { asPgmonetaError } from '../errors/index.js';
import { listBackups } from '../repository/catalogue.js';
import { readHotStandbys, rememberHotStandbys } from '../repository/hot-standbys.js';
import { lockPatiently } from '../repository/locks.js';
import type { ServerPaths } from '../repository/paths.js';
import { copyPaths } from '../restore/hot-standby-paths.js';
import { removeCopy } from '../restore/hot-standby-remove.js';
import type { JobContext } from './context.js';

/** How long to wait for an update that is at work, in milliseconds. */
const PATIENCE = 20_000;

/**
 * Removes the hot standbys of a server of which the last backup has been deleted; does nothing while there is another
 * backup. The configured directories stay, and so does a copy in which a server runs. What fails is told in the log: the
 * deletion itself is done.
 * @returns the copies that were removed
 */
export async function removeHotStandbys(
  paths: ServerPaths,
  server: EffectiveServer,
  { log, signal }: Pick<JobContext, 'log' | 'signal'>,
): Promise<readonly string[]> {
  const removed: string[] = [];
  const standbys = hotStandbysOf(server);
  if (standbys.length === 0) return removed;
  try {
    const what = `removal of hot standbys of ${server.name}`;
    const held = await lockPatiently(paths.hotStandbyLock, 'exclusive', what, 'HOT_STANDBY', PATIENCE, signal);
    try {
      if ((await listBackups(paths)).length > 0) return removed;
      const known = new Map(await readHotStandbys(paths));
      for (const { directory } of standbys) {
        const place = copyPaths(directory, server.name);
        try {
          if (!(await removeCopy(place))) continue;
          log('info', `removed the hot standby ${place.copy}: the last backup of ${server.name} is gone`);
          removed.push(place.copy);
          known.delete(directory);
        } catch (error) {
          log('warn', `the hot standby ${place.copy} stays: ${told(error)}`);
        }
      }
      await rememberHotStandbys(paths, known);
    } finally {
      held.release();
    }
  } catch (error) {
    log('warn', `the hot standbys of ${server.name} stay: ${told(error)}`);
  }
  return removed;
}

function told(error: unknown): string {
  const { message, hint } = asPgmonetaError(error);
  return hint === undefined ? message : `${message}; ${hint}`;
}
