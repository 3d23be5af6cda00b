import type { HotStandby } from '../config/index.js';
import { copyPaths, entriesOf, kindOf, tablespaceLinks } from './hot-standby-paths.js';
import { runningServer } from './hot-standby-running.js';
import { controlDigest, readState } from './hot-standby-state.js';

/**
 * Whether an update that nobody asked for would do something for a copy: it is of an older backup, not there, or an
 * update has not come to its end. One that somebody has started or changed is left to the next backup.
 */
export async function isBehind({ directory }: HotStandby, server: string, label: string): Promise<boolean> {
  const paths = copyPaths(directory, server);
  if ((await runningServer(paths.copy)) !== undefined) return false;
  for (const leftover of [paths.building, paths.nextState]) if ((await kindOf(leftover)) !== 'absent') return true;
  if ((await entriesOf(paths.copy)).length === 0) return true;
  if ((await tablespaceLinks(paths)).some(({ finished }) => !finished)) return true;
  const state = await readState(paths.state);
  if (state === undefined || state.control !== (await controlDigest(paths.copy))) return false;
  return state.backup < label;
}
