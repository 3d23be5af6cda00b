import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError } from '../errors/index.js';
import type { TimelineId } from '../postgres/types.js';
import { isKnown, type KnownBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { lock } from '../repository/locks.js';
import { type ServerPaths, shippingPath } from '../repository/paths.js';
import { readVerifications, type Verifications } from '../repository/verifications.js';
import type { WalArchive } from '../wal/archive.js';
import { type HorizonInput, planHorizon } from '../wal/horizon.js';
import { removeWal } from '../wal/trim.js';
import type { JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { readBackupWal, readSizedArchive } from './wal-facts.js';

type Trimming = Pick<JobContext, 'log' | 'signal'>;

/** Files that are looked at at the same time. */
const WIDTH = 64;
/** Unit of `st_blocks`, whatever the file system. */
const BLOCK = 512;

/** What a removal of WAL is about. */
export interface TrimOptions {
  /** Tell what would go, and remove nothing. */
  readonly rehearsal?: boolean;
  /** Labels of backups that are to be taken for gone. */
  readonly without?: ReadonlySet<string>;
}

/** What was removed, or would be, in all places together. */
export interface TrimReport {
  readonly files: number;
  /** On disk. */
  readonly bytes: number;
}

/** Keys of an answer that tell of it; none when it could not be done. */
export function walFields(report: TrimReport | undefined): JsonObject {
  return report === undefined ? {} : { WalFiles: report.files, WalFreed: report.bytes };
}

/**
 * Removes the WAL that no backup of a server needs any more, in `wal/` and where it is shipped to. What keeps it from
 * doing so is logged and is no failure of the verb that removed a backup: the WAL goes with the next removal.
 * @returns undefined when it could not be done
 */
export async function trimWal(
  paths: ServerPaths,
  server: EffectiveServer,
  context: Trimming,
  options: TrimOptions = {},
): Promise<TrimReport | undefined> {
  const mode = options.rehearsal ? 'shared' : 'exclusive';
  try {
    const held = await lock(paths.walLock, mode, `removal of WAL of ${server.name}`, 'DELETE_BACKUP_ACTIVE');
    try {
      return await trimLocked(paths, server, context, options);
    } finally {
      held.release();
    }
  } catch (error) {
    const { message, hint } = asPgmonetaError(error);
    context.log('warn', `WAL of ${server.name} that is not needed stays: ${message}${hint ? `; ${hint}` : ''}`);
    return undefined;
  }
}

async function trimLocked(
  paths: ServerPaths,
  server: EffectiveServer,
  context: Trimming,
  options: TrimOptions,
): Promise<TrimReport> {
  const backups = (await listBackups(paths)).filter(({ label }) => !options.without?.has(label));
  const verifications = await readVerifications(paths);
  const held = await Promise.all(backups.filter((backup) => isHeld(backup, verifications)).map(readBackupWal));
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
  const here = await trimDirectory(own, needs, server.name, context, options);
  if (server.wal_shipping === null) return here;
  const shipped = await readSizedArchive(shippingPath(server.wal_shipping, server.name), held);
  // The copy was perhaps away when a history file came: what is known here is known there.
  const histories = new Map([...shipped.archive.histories, ...own.archive.histories]);
  const copy = { ...shipped, archive: { ...shipped.archive, histories } };
  const there = await trimDirectory(copy, needs, server.name, context, options);
  return { files: here.files + there.files, bytes: here.bytes + there.bytes };
}

/**
 * WAL is held for every backup that says it is complete, even when a file beside it could not be found just now; and for
 * one that a verification found damaged: its files may come back.
 */
function isHeld(backup: StoredBackup, verifications: Verifications): backup is KnownBackup {
  if (!isKnown(backup)) return false;
  return backup.info.status === true || verifications.get(backup.label)?.result === 'damaged';
}

async function trimDirectory(
  { archive, doubt }: { readonly archive: WalArchive; readonly doubt: string | undefined },
  needs: Omit<HorizonInput, 'archive'>,
  server: string,
  context: Trimming,
  { rehearsal = false }: TrimOptions,
): Promise<TrimReport> {
  const { directory } = archive;
  const nothing = { files: 0, bytes: 0 };
  if (archive.timelines.size === 0) return nothing;
  if (doubt !== undefined) {
    context.log('warn', `nothing was removed from ${directory}: ${doubt}`);
    return nothing;
  }
  const plan = planHorizon({ archive, ...needs });
  const bytes = await sizeOf(plan.remove.map(({ file }) => join(directory, file)));
  if (rehearsal) return { files: plan.remove.length, bytes };
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
  const level = removed > 0 ? 'info' : 'debug';
  context.log(level, `removed ${removed} files of WAL of ${server} from ${directory}`, { server, removed });
  return { files: removed, bytes };
}

/** Bytes on disk of the files that are still there. */
async function sizeOf(files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (let from = 0; from < files.length; from += WIDTH) {
    const found = await Promise.all(files.slice(from, from + WIDTH).map((file) => lstat(file).catch(() => undefined)));
    for (const status of found) bytes += (status?.blocks ?? 0) * BLOCK;
  }
  return bytes;
}
