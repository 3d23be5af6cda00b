import { setImmediate as nextTurn } from 'node:timers/promises';
import { asPgmonetaError } from '../errors/index.js';
import { formatLsn } from '../postgres/types.js';
import { isValid, type StoredBackup } from '../repository/catalogue.js';
import type { ServerPaths } from '../repository/paths.js';
import { type Gap, gaps, type LiveWal, liveEnd } from '../wal/coverage.js';
import type { WalSurvey } from '../wal/survey.js';
import { backupWindow, describeMissing, type RecoveryWindow, type ServerWindow, serverWindow } from '../wal/window.js';
import type { JsonObject } from './messages.js';
import { type BackupWal, readBackupWal, surveySizedWal } from './wal-facts.js';

/** Windows that are computed before other work of this process gets its turn. */
const STEP = 32;

/** Asks the receiver of a server; undefined when there is none, or it has not received anything yet. */
export type LiveWalOf = (server: string) => LiveWal | undefined;

/** What the WAL of a server is good for. */
export interface WalView {
  readonly archive: WalSurvey | undefined;
  /** By label, of the valid backups. */
  readonly windows: ReadonlyMap<string, RecoveryWindow>;
  readonly server: ServerWindow | undefined;
  /** Since the oldest valid backup. */
  readonly gaps: readonly Gap[];
  /** Why the WAL could not be looked at, for people. */
  readonly problem: string | undefined;
}

/**
 * Looks at the WAL of a server: what each valid backup can be restored to. Never throws for damaged WAL. The daemon does
 * this between the acknowledgements of its receivers: nothing of it takes longer the more segments there are.
 * @param options.bytes whether it is to be known what the WAL takes
 */
export async function readWalView(
  paths: ServerPaths,
  backups: readonly StoredBackup[],
  live: LiveWal | undefined,
  options: { readonly bytes: boolean },
): Promise<WalView> {
  const valid = await Promise.all(backups.filter(isValid).map(readBackupWal));
  try {
    const first = await viewOf(paths, valid, live, options);
    // A segment that gets its name while the directory is listed may be missing from the list: look twice.
    const troubled = first.gaps.length > 0 || (first.server?.broken.length ?? 0) > 0;
    return troubled ? await viewOf(paths, valid, live, options) : first;
  } catch (error) {
    const problem = asPgmonetaError(error).message;
    return { archive: undefined, windows: new Map(), server: undefined, gaps: [], problem };
  }
}

async function viewOf(
  paths: ServerPaths,
  backups: readonly BackupWal[],
  live: LiveWal | undefined,
  options: { readonly bytes: boolean },
): Promise<WalView> {
  const { archive, doubt } = await surveySizedWal(paths.wal, backups, options);
  const end = liveEnd(live);
  const windows: RecoveryWindow[] = [];
  for (const [index, backup] of backups.entries()) {
    if (index % STEP === STEP - 1) await nextTurn();
    windows.push(backupWindow(archive, backup, end));
  }
  const [oldest] = backups;
  const damaged = [...archive.damaged.values()].map((error) => error.message);
  const problems = [
    ...(doubt === undefined || (archive.timelines.size === 0 && archive.partials.length === 0) ? [] : [doubt]),
    ...damaged,
  ];
  return {
    archive,
    windows: new Map(windows.map((window) => [window.label, window])),
    server: serverWindow(windows, live?.newest),
    gaps: oldest === undefined ? [] : gaps(archive, oldest.ownWalEnd ?? oldest.endLsn, end),
    problem: problems.length === 0 ? undefined : problems.join('; '),
  };
}

/** Keys that say what a backup can be restored to; none for a backup that is not valid. */
export function windowFields(view: WalView, label: string): JsonObject {
  const window = view.windows.get(label);
  if (window === undefined) return {};
  const { from, to, broken } = window;
  return {
    ...(from.time === undefined ? {} : { RestorableFrom: targetTime(from.time) }),
    RestorableTimeline: to.timeline,
    RestorableTo: formatLsn(to.lsn),
    ...(broken === undefined ? {} : { RestorableBroken: describeMissing(broken) }),
  };
}

/** Keys that say what a server can be restored to, and how much WAL there is. */
export function serverWindowFields(view: WalView): JsonObject {
  const { server, archive, problem } = view;
  return {
    ...(server?.from.time === undefined ? {} : { RestorableFrom: targetTime(server.from.time) }),
    ...(server === undefined ? {} : { RestorableTimeline: server.to.timeline, RestorableTo: formatLsn(server.to.lsn) }),
    WalGaps: view.gaps.map(({ timeline, from, to }) => ({
      From: formatLsn(from),
      Timeline: timeline,
      To: formatLsn(to),
    })),
    WalSize: archive?.bytes ?? 0,
    ...(problem === undefined ? {} : { WalArchiveProblem: problem }),
  };
}

/** A moment in a form that `time=` of a restore takes: `2026-01-31 13:45:00.250+00`. */
export function targetTime(moment: Date): string {
  return moment.toISOString().replace('T', ' ').replace('Z', '+00');
}
