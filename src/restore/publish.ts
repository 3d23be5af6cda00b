import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../native/fs.js';
import { buildingName, type TargetPlan } from './target.js';

/** A rename that was made, so that it can be taken back. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Gives the finished directories their names. Tablespaces come first and the data directory last: until it is
 * there, nothing can be started. A directory that is replaced is first moved aside and removed at the end; when a step
 * fails, everything is put back where it was.
 */
export async function publish(plan: TargetPlan, existing: readonly string[]): Promise<void> {
  const aside = existing.map((path): Move => ({ from: path, to: `${buildingName(path)}.old` }));
  const builds = [...plan.tablespaces, plan].map(({ building, final }): Move => ({ from: building, to: final }));
  const made: Move[] = [];
  try {
    // The data directory to be replaced goes first: a half replaced cluster must not be startable.
    for (const move of aside) {
      await rm(move.to, { recursive: true, force: true });
      await rename(move.from, move.to);
      made.push(move);
    }
    for (const move of builds) {
      await rename(move.from, move.to);
      made.push(move);
      await syncDirectory(dirname(move.to));
    }
  } catch (error) {
    for (const { from, to } of made.reverse()) await rename(to, from);
    throw error;
  }
  for (const { to } of aside) await rm(to, { recursive: true, force: true });
}
