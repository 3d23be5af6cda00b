import { asPgmonetaError } from '../errors/index.js';
import { formatLsn } from '../postgres/types.js';
import { isValid, type StoredBackup } from '../repository/catalogue.js';
import type { ServerPaths } from '../repository/paths.js';
import type { WalArchive } from '../wal/archive.js';
import { type Gap, gaps, type LiveWal, liveEnd } from '../wal/coverage.js';
import { archiveBytes } from '../wal/segment-size.js';
import { backupWindow, describeMissing, type RecoveryWindow, type ServerWindow, serverWindow } from '../wal/window.js';
import type { JsonObject } from './messages.js';
import { type BackupWal, readBackupWal, readSizedArchive } from './wal-facts.js';

/** Asks the receiver of a server; undefined when there is none, or it has not received anything yet. */
export type LiveWalOf = (server: string) => LiveWal | undefined;

/** What the WAL of a server is good for. */
export interface WalView {
  readonly archive: WalArchive | undefined;
  /** By label, of the valid backups. */
  readonly windows: ReadonlyMap<string, RecoveryWindow>;
  readonly server: ServerWindow | undefined;
  /** Since the oldest valid backup. */
  readonly gaps: readonly Gap[];
  /** Why the WAL could not be looked at, for people. */
  readonly problem: string | undefined;
}

/** Looks at the WAL of a server: what each valid backup can be restored to. Never throws for damaged WAL. */
export async function readWalView(
  paths: ServerPaths,
  backups: readonly StoredBackup[],
  live: LiveWal | undefined,
): Promise<WalView> {
  const valid = await Promise.all(backups.filter(isValid).map(readBackupWal));
  try {
    const first = await viewOf(paths, valid, live);
    // A segment that gets its name while the directory is listed may be missing from the list: look twice.
    const troubled = first.gaps.length > 0 || (first.server?.broken.length ?? 0) > 0;
    return troubled ? await viewOf(paths, valid, live) : first;
  } catch (error) {
    const problem = asPgmonetaError(error).message;
    return { archive: undefined, windows: new Map(), server: undefined, gaps: [], problem };
  }
}

async function viewOf(paths: ServerPaths, backups: readonly BackupWal[], live: LiveWal | undefined): Promise<WalView> {
  const { archive, doubt } = await readSizedArchive(paths.wal, backups);
  const end = liveEnd(live);
  const windows = backups.map((backup) => backupWindow(archive, backup, end));
  const [oldest] = backups;
  const damaged = [...archive.damaged.values()].map((error) => error.message);
  const problems = [...(doubt === undefined || isEmpty(archive) ? [] : [doubt]), ...damaged];
  return {
    archive,
    windows: new Map(windows.map((window) => [window.label, window])),
    server: serverWindow(windows, live?.newest),
    gaps: oldest === undefined ? [] : gaps(archive, oldest.ownWalEnd ?? oldest.endLsn, end),
    problem: problems.length === 0 ? undefined : problems.join('; '),
  };
}

function isEmpty(archive: WalArchive): boolean {
  return archive.timelines.size === 0 && archive.partials.length === 0;
}

/** Keys that say what a backup can be restored to; none for a backup that is not valid. */
export function windowFields(view: WalView, label: string): JsonObject {
  const window = view.windows.get(label);
  if (window === undefined) return {};
  const { from, to, broken } = window;
  return {
    ...(from.time === undefined ? {} : { RestorableFrom: targetTime(from.time) }),
    RestorableTo: formatLsn(to.lsn),
    ...(broken === undefined ? {} : { RestorableBroken: describeMissing(broken) }),
  };
}

/** Keys that say what a server can be restored to, and how much WAL there is. */
export async function serverWindowFields(view: WalView): Promise<JsonObject> {
  const { server, archive, problem } = view;
  return {
    ...(server?.from.time === undefined ? {} : { RestorableFrom: targetTime(server.from.time) }),
    ...(server === undefined ? {} : { RestorableTo: formatLsn(server.to.lsn) }),
    WalGaps: view.gaps.map(({ timeline, from, to }) => ({
      From: formatLsn(from),
      Timeline: timeline,
      To: formatLsn(to),
    })),
    WalSize: archive === undefined ? 0 : await archiveBytes(archive),
    ...(problem === undefined ? {} : { WalArchiveProblem: problem }),
  };
}

/** A moment in a form that `time=` of a restore takes: `2026-01-31 13:45:00.250+00`. */
export function targetTime(moment: Date): string {
  return moment.toISOString().replace('T', ' ').replace('Z', '+00');
}
