import { type Configuration, type EffectiveServer, effectiveServer, hotStandbysOf } from '../config/of-server.js';
import { isValid, listBackups } from '../repository/catalogue.js';
import { readHotStandbys } from '../repository/hot-standbys.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { isBehind } from '../restore/hot-standby-look.js';
import type { JsonObject } from './messages.js';
import { targetTime } from './wal-view.js';

/** What `status` tells of the hot standbys of a server: which backup each is of, since when, and what is in the way. */
export async function describeHotStandbys(paths: ServerPaths, server: EffectiveServer): Promise<readonly JsonObject[]> {
  if (server.hot_standby.length === 0) return [];
  const known = await readHotStandbys(paths);
  return hotStandbysOf(server).map(({ directory }): JsonObject => {
    const last = known.get(directory);
    return {
      Backup: last?.backup ?? '',
      Directory: directory,
      HotStandbySize: last?.bytes ?? 0,
      ...(last === undefined ? {} : { UpdatedAt: targetTime(last.at) }),
      ...(last === undefined || last.problem === '' ? {} : { Problem: last.problem }),
    };
  });
}

/** Whether a hot standby of a server is behind its newest valid backup. What cannot be looked at is for the job to tell. */
export async function standbysBehind(configuration: Configuration, name: string): Promise<boolean> {
  const server = effectiveServer(configuration, name);
  if (server.hot_standby.length === 0) return false;
  const paths = serverPaths(configuration.main.base_dir, name);
  const newest = (await listBackups(paths)).findLast(isValid);
  if (newest === undefined) return false;
  for (const standby of hotStandbysOf(server)) {
    if (await isBehind(standby, name, newest.label).catch(() => true)) return true;
  }
  return false;
}

/** Whether the reply of a job tells that one of them failed. */
export function standbysFailed({ HotStandby }: JsonObject): boolean {
  return Array.isArray(HotStandby) && HotStandby.some((entry) => (entry as JsonObject).Result === 'failed');
}
