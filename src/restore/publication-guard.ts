import { PgmonetaError } from '../errors/index.js';
import { controlOf } from './old-cluster.js';
import { refuseRunning } from './target.js';

/** A cluster whose files the new one shares until it is removed: no server may have been started on it meanwhile. */
export interface PublicationGuard {
  /** Its data directory. */
  readonly directory: string;
  /** What its control file was when the restore began, see {@link controlOf}. */
  readonly control: string;
}

/** Whether the cluster, which is at `place` now, was left alone. */
export async function wasLeftAlone(guard: PublicationGuard, place: string): Promise<boolean> {
  if ((await controlOf(place)) !== guard.control) return false;
  return refuseRunning(place).then(
    () => true,
    () => false,
  );
}

/**
 * Refuses to go on when the cluster, which is at `place` now, was started meanwhile.
 * @throws PgmonetaError RESTORE_TEARDOWN
 */
export async function requireLeftAlone(guard: PublicationGuard, place: string): Promise<void> {
  if (await wasLeftAlone(guard, place)) return;
  const { directory } = guard;
  throw new PgmonetaError(
    'RESTORE_TEARDOWN',
    `a server was started in ${directory} while it was being restored: the restore was given up, the cluster is as it was left`,
    { hint: `stop the server (pg_ctl -D ${directory} stop) and run the restore again` },
  );
}
