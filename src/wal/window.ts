import { formatLsn, type Lsn, type TimelineId } from '../postgres/types.js';
import { bytesFrom, type MissingWal, type PartialEnd, type Reach, reachable } from './coverage.js';
import { timelinesOf, type WalExtent } from './extent.js';
import { ancestry, leadsThrough, type TimelinePath, timelineAt } from './timelines.js';

/** What the window of a backup depends on. */
export interface WindowBackup {
  readonly label: string;
  readonly startLsn: Lsn;
  /** Where it is consistent, and on which timeline. */
  readonly endLsn: Lsn;
  readonly endTimeline: TimelineId;
  /** When it was consistent; undefined when nobody knows. */
  readonly stopTime: Date | undefined;
  /** Up to where the WAL in the backup itself goes; its end when that is not known. */
  readonly ownWalEnd?: Lsn | undefined;
}

/** From where to where a backup can be restored. */
export interface RecoveryWindow {
  readonly label: string;
  readonly from: { readonly lsn: Lsn; readonly timeline: TimelineId; readonly time: Date | undefined };
  readonly to: { readonly lsn: Lsn; readonly timeline: TimelineId };
  /** What is missing before the archive goes on; undefined for a window that reaches the end of the archive. */
  readonly broken: MissingWal | undefined;
  /** Bytes of WAL that the archive has from the start of the backup on, on the way to the newest timeline. */
  readonly walBytes: number;
}

/** From where to where a server can be restored. */
export interface ServerWindow {
  readonly from: RecoveryWindow['from'];
  readonly to: RecoveryWindow['to'];
  /** Time of the newest WAL, where the receiver has told it. */
  readonly newest: Date | undefined;
  /** Windows that end before the archive does. */
  readonly broken: readonly RecoveryWindow[];
}

/** The way to the newest timeline that comes from the end of a backup. */
export function windowPath(archive: WalExtent, backup: WindowBackup): TimelinePath {
  for (const timeline of [...timelinesOf(archive)].reverse()) {
    const path = ancestry(timeline, archive.histories);
    if (leadsThrough(path, backup.endTimeline, backup.endLsn)) return path;
  }
  return ancestry(backup.endTimeline, archive.histories);
}

/** How far a backup can be restored without a hole, on the way to the newest timeline that comes from it. */
export function backupWindow(archive: WalExtent, backup: WindowBackup, partialEnd?: PartialEnd): RecoveryWindow {
  const path = windowPath(archive, backup);
  const reach = reachFrom(archive, path, backup, partialEnd);
  return {
    label: backup.label,
    from: { lsn: backup.endLsn, timeline: backup.endTimeline, time: backup.stopTime },
    to: { lsn: reach.lsn, timeline: reach.lsn > backup.endLsn ? reach.timeline : backup.endTimeline },
    broken: reach.missing,
    walBytes: bytesFrom(archive, path, backup.startLsn, partialEnd),
  };
}

/** The backup brings its own WAL up to some point: what the archive lacks before that is no hole. */
function reachFrom(archive: WalExtent, path: TimelinePath, backup: WindowBackup, partialEnd?: PartialEnd): Reach {
  const { endLsn, ownWalEnd = endLsn } = backup;
  const first = reachable(archive, path, endLsn, partialEnd);
  if (ownWalEnd <= first.lsn || timelineAt(path, ownWalEnd - 1n) !== backup.endTimeline) return first;
  const second = reachable(archive, path, ownWalEnd, partialEnd);
  return second.lsn > ownWalEnd ? second : { ...first, missing: second.missing };
}

/**
 * The union of the windows of a server, oldest backup first; undefined without a backup. Inside of it there may be
 * stretches that cannot be reached: they are told by `broken`.
 * @param newest time of the newest WAL, where the receiver knows it
 */
export function serverWindow(windows: readonly RecoveryWindow[], newest?: Date): ServerWindow | undefined {
  const [oldest] = windows;
  if (oldest === undefined) return undefined;
  const to = windows.reduce((furthest, window) => (isFurther(window.to, furthest) ? window.to : furthest), oldest.to);
  return { from: oldest.from, to, newest, broken: windows.filter((window) => window.broken !== undefined) };
}

function isFurther(left: RecoveryWindow['to'], right: RecoveryWindow['to']): boolean {
  if (left.timeline !== right.timeline) return left.timeline > right.timeline;
  return left.lsn > right.lsn;
}

/** What is missing, for people. */
export function describeMissing({ from, to, timeline, segment }: MissingWal): string {
  return `WAL from ${formatLsn(from)} to ${formatLsn(to)} on timeline ${timeline} is missing; the first segment that is needed is ${segment}`;
}
