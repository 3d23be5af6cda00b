import type { EffectiveServer } from '../config/index.js';
import { asPgmonetaError } from '../errors/index.js';
import type { TimelineId } from '../postgres/types.js';
import { isKnown, type KnownBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { lock } from '../repository/locks.js';
import { type ServerPaths, shippingPath } from '../repository/paths.js';
import type { WalArchive } from '../wal/archive.js';
import { type HorizonInput, planHorizon } from '../wal/horizon.js';
import { removeWal } from '../wal/trim.js';
import type { JobContext } from './context.js';
import { readBackupWal, readSizedArchive } from './wal-facts.js';

type Trimming = Pick<JobContext, 'log' | 'signal'>;

/**
 * Removes the WAL that no backup of a server needs any more, in `wal/` and where it is shipped to. What keeps it from
 * doing so is logged and is no failure of the verb that removed a backup: the WAL goes with the next removal.
 */
export async function trimWal(paths: ServerPaths, server: EffectiveServer, context: Trimming): Promise<void> {
  try {
    const held = await lock(paths.walLock, 'exclusive', `removal of WAL of ${server.name}`, 'DELETE_BACKUP_ACTIVE');
    try {
      await trimLocked(paths, server, context);
    } finally {
      held.release();
    }
  } catch (error) {
    const { message, hint } = asPgmonetaError(error);
    context.log('warn', `WAL of ${server.name} that is not needed stays: ${message}${hint ? `; ${hint}` : ''}`);
  }
}

async function trimLocked(paths: ServerPaths, server: EffectiveServer, context: Trimming): Promise<void> {
  const backups = await listBackups(paths);
  const held = await Promise.all(backups.filter(isHeld).map(readBackupWal));
  const needs: Omit<HorizonInput, 'archive'> = {
    backups: held,
    doubtful: backups
      .filter((backup) => !isKnown(backup) || backup.info.status === undefined)
      .map(({ label }) => label),
    timelinesInUse: backups
      .filter(isKnown)
      .flatMap(({ info }) => [info.startTimeline, info.endTimeline] as TimelineId[]),
  };
  const own = await readSizedArchive(paths.wal, held);
  await trimDirectory(own, needs, server.name, context);
  if (server.wal_shipping === null) return;
  const shipped = await readSizedArchive(shippingPath(server.wal_shipping, server.name), held);
  // The copy was perhaps away when a history file came: what is known here is known there.
  const histories = new Map([...shipped.archive.histories, ...own.archive.histories]);
  await trimDirectory({ ...shipped, archive: { ...shipped.archive, histories } }, needs, server.name, context);
}

/** WAL is held for every backup that says it is complete, even when a file beside it could not be found just now. */
function isHeld(backup: StoredBackup): backup is KnownBackup {
  return isKnown(backup) && backup.info.status === true;
}

async function trimDirectory(
  { archive, doubt }: { readonly archive: WalArchive; readonly doubt: string | undefined },
  needs: Omit<HorizonInput, 'archive'>,
  server: string,
  context: Trimming,
): Promise<void> {
  const { directory } = archive;
  if (archive.timelines.size === 0) return;
  if (doubt !== undefined) {
    context.log('warn', `nothing was removed from ${directory}: ${doubt}`);
    return;
  }
  const plan = planHorizon({ archive, ...needs });
  const removed = await removeWal(
    directory,
    plan.remove,
    (file, reason) => context.log('info', `removed ${directory}/${file}: ${reason}`, { server, file }),
    context.signal,
  );
  for (const [timeline, reason] of plan.reasons)
    context.log('debug', `WAL of timeline ${timeline}: ${reason}`, { server });
  if (needs.doubtful?.length) {
    const labels = needs.doubtful.join(', ');
    context.log(
      'warn',
      `WAL of ${server} may stay longer than needed: backup ${labels} cannot be read; verify or delete it`,
    );
  }
  context.log('info', `removed ${removed} files of WAL of ${server} from ${directory}`, { server, removed });
}
