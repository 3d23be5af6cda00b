import { PgmonetaError } from '../errors/index.js';
import { type ScanReport, scanWal, type WalFacts, type WalStop, type WalTarget } from '../native/wal-scan.js';
import { formatLsn, type Lsn, parseLsn } from '../postgres/types.js';
import { momentText } from '../restore/moment.js';
import type { RecoveryTarget } from '../restore/position.js';
import type { WalArchive } from '../wal/archive.js';
import type { TimelinePath } from '../wal/timelines.js';
import { describeMissing } from '../wal/window.js';
import type { JobContext } from './context.js';
import { findStretch, type Stretch, type StretchBackup } from './restore-stretch.js';
import type { BackupWal } from './wal-facts.js';
import { targetTime } from './wal-view.js';

/** A target that needs WAL from after the backup. */
export type WalRecoveryTarget = Exclude<RecoveryTarget, { kind: 'none' | 'immediate' }>;

/** What a recovery from a backup along a path would do. */
export type Attempt =
  | {
      readonly kind: 'reached';
      readonly stretch: Stretch;
      readonly report: ScanReport;
      /** Undefined for `current`. */
      readonly stop: WalStop | undefined;
    }
  | {
      /** It would stop before the backup is consistent; or there is a hole or damage before the target, or no target. */
      readonly kind: 'early' | 'hole' | 'damaged' | 'beyond';
      readonly report: ScanReport | undefined;
      /** Where it would stop, when that is too early. */
      readonly stopEnd: Lsn | undefined;
      readonly error: PgmonetaError;
    };

/** What looking through WAL needs. */
export interface Search {
  readonly archive: WalArchive;
  readonly facts: WalFacts;
  readonly workers: number;
  readonly target: WalRecoveryTarget;
  readonly inclusive: boolean;
  /** The segment that holds this position is the last one that counts. */
  readonly until: Lsn;
  readonly context: Pick<JobContext, 'signal' | 'progress'>;
}

/** The target in the words of the scanner; undefined for the end of all WAL. */
export function scanTarget(target: WalRecoveryTarget, inclusive: boolean): WalTarget | undefined {
  switch (target.kind) {
    case 'current':
      return undefined;
    case 'name':
      return { name: target.value };
    case 'xid':
      return { xid: Number(target.value), inclusive };
    case 'lsn':
      return { lsn: target.value, inclusive };
    case 'time':
      return { time: target.micros, inclusive };
  }
}

/** Whether a backup ends after a target, as far as that can be told without reading WAL. */
export function endsAfter({ endLsn, stopTime }: BackupWal, target: RecoveryTarget): boolean {
  if (target.kind === 'lsn') return endLsn > parseLsn(target.value);
  return target.kind === 'time' && stopTime !== undefined && stopTime.getTime() * 1000 > target.micros;
}

/** The target for people: `time=2026-01-31 13:45:00+00`. */
export function targetText(target: WalRecoveryTarget): string {
  return target.kind === 'current' ? 'current' : `${target.kind}=${target.value}`;
}

/**
 * Reads the WAL from the start of a backup on, exactly as a recovery would, and tells where that would stop.
 * @param until nothing behind the segment with this position is read, which is less than the whole search
 */
export async function attempt(
  search: Search,
  backup: StretchBackup,
  path: TimelinePath,
  until?: Lsn,
): Promise<Attempt> {
  const { target } = search;
  const { endLsn } = backup.wal;
  // A time before the end would be no error for PostgreSQL: it would stop behind the backup, which is later than wanted.
  if (endsAfter(backup.wal, target)) {
    const stopEnd = target.kind === 'lsn' ? parseLsn(target.value) : endLsn;
    return { kind: 'early', report: undefined, stopEnd, error: early(backup, target) };
  }
  const stretch = await findStretch(search.archive, backup, path, search.facts, until ?? search.until);
  const report = await scan(search, backup, stretch);
  const { stop } = report;
  const stopEnd = stop === undefined ? undefined : parseLsn(stop.end);
  if (stopEnd !== undefined && stopEnd < endLsn) {
    return { kind: 'early', report, stopEnd, error: early(backup, target) };
  }
  if (stop !== undefined) return { kind: 'reached', stretch, report, stop };
  const failure = (kind: 'hole' | 'damaged' | 'beyond'): Attempt => ({
    kind,
    report,
    stopEnd: undefined,
    error: unreached(kind, search, backup, stretch, report),
  });
  if (report.ending.kind === 'damaged' && !isTailOfBackup(stretch, report, endLsn)) return failure('damaged');
  if (stretch.missing !== undefined) return failure('hole');
  if (target.kind !== 'current') return failure('beyond');
  return { kind: 'reached', stretch, report, stop: undefined };
}

/** The last segment of a backup from a standby was being written; what stands behind its WAL is of no interest. */
function isTailOfBackup(stretch: Stretch, report: ScanReport, endLsn: Lsn): boolean {
  const inLast = report.ending.path === stretch.files.at(-1) && parseLsn(report.end) >= endLsn;
  return inLast && stretch.end === stretch.archiveFrom;
}

function scan(search: Search, backup: StretchBackup, stretch: Stretch): Promise<ScanReport> {
  const { facts, workers, target, inclusive, context } = search;
  return scanWal(
    {
      ...facts,
      segments: stretch.files,
      start: formatLsn(backup.wal.startLsn),
      target: scanTarget(target, inclusive),
      workers,
    },
    {
      signal: context.signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        context.progress({ phase: 'Look through WAL', done: bytesDone, total: bytesTotal, unit: 'bytes' }),
    },
  );
}

function early({ wal }: StretchBackup, target: WalRecoveryTarget): PgmonetaError {
  const time = wal.stopTime === undefined ? '' : ` (${targetTime(wal.stopTime)})`;
  return new PgmonetaError(
    'RESTORE_NOBACKUP',
    `the target ${targetText(target)} lies before the end of backup ${wal.label}, which is at ${formatLsn(wal.endLsn)}${time}: a backup can only be restored to a moment after its end`,
    { hint: 'give newest instead of a label: the backup that leads to the target is chosen then' },
  );
}

/** From where to where a backup can be restored, for people. */
export function rangeText({ wal }: StretchBackup, report: ScanReport): string {
  const from = wal.stopTime === undefined ? '' : ` (${targetTime(wal.stopTime)})`;
  const last =
    report.lastCommit === undefined ? '' : ` (its last transaction committed at ${momentText(report.lastCommit.time)})`;
  return `backup ${wal.label} can be restored from ${formatLsn(wal.endLsn)}${from} to ${report.end}${last}`;
}

function unreached(
  kind: 'hole' | 'damaged' | 'beyond',
  { target }: Search,
  backup: StretchBackup,
  stretch: Stretch,
  report: ScanReport,
): PgmonetaError {
  const goal = target.kind === 'current' ? 'the end of the WAL' : `the target ${targetText(target)}`;
  const range = rangeText(backup, report);
  const instead = `choose a target up to there, for instance lsn=${report.end}`;
  if (kind === 'beyond') {
    return new PgmonetaError(
      'RESTORE_SETUP',
      `${goal} is not reached by the WAL that there is; nothing was written; ${range}`,
      { hint: `${instead}, or current for everything that there is` },
    );
  }
  const why =
    kind === 'damaged'
      ? `at ${report.ending.at}${report.ending.path === undefined ? '' : ` in ${report.ending.path}`}: ${report.ending.message}`
      : stretch.missing === undefined
        ? ''
        : describeMissing(stretch.missing);
  return new PgmonetaError('RESTORE_SETUP', `${goal} cannot be reached: ${why}; nothing was written; ${range}`, {
    hint: `put the segment back if there is another copy of it (wal_shipping, the server's pg_wal), or ${instead}`,
  });
}
