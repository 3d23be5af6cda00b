import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../native/fs.js';
import { buildingName, type TargetPlan } from './target.js';

/**
 * Gives the finished directories their names. Tablespaces come first and the data directory last: until it is
 * there, nothing can be started. A directory that is replaced is first moved aside and removed at the end.
 */
export async function publish(plan: TargetPlan, existing: readonly string[]): Promise<void> {
  const aside: string[] = [];
  const moves = [...plan.tablespaces.map(({ building, final }) => ({ building, final })), plan];
  // The data directory to be replaced goes first: a half replaced cluster must not be startable.
  for (const path of existing) {
    const old = `${buildingName(path)}.old`;
    await rm(old, { recursive: true, force: true });
    await rename(path, old);
    aside.push(old);
  }
  for (const { building, final } of moves) {
    await rename(building, final);
    await syncDirectory(dirname(final));
  }
  for (const old of aside) await rm(old, { recursive: true, force: true });
}
