import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { formatLsn, type Lsn, type TimelineId } from '../postgres/types.js';
import type { Position } from '../restore/position.js';
import { timelineOf } from '../restore/recovery-settings.js';
import { type Histories, pathFor, type TimelinePath } from '../wal/timelines.js';
import { type Attempt, endsAfter } from './restore-reach.js';
import type { BackupWal } from './wal-facts.js';
import { targetTime } from './wal-view.js';

/** A backup that may lead to a target, and the way there. */
export interface Candidate<B extends { readonly wal: BackupWal }> {
  readonly backup: B;
  readonly path: TimelinePath;
}

/** Whether an identifier leaves the choice of the backup to the target. */
export function isChoice(identifier: string): identifier is 'newest' | 'latest' | 'oldest' {
  return identifier === 'newest' || identifier === 'latest' || identifier === 'oldest';
}

/**
 * The way from a backup to the timeline of a position.
 * @throws PgmonetaError WAL_TIMELINE when it does not lead there
 */
export function pathOf(
  position: Position,
  { label, endTimeline, endLsn }: BackupWal,
  histories: Histories,
): TimelinePath {
  const word = timelineOf(position);
  const target = word === 'latest' || word === 'current' ? word : (Number(word) as TimelineId);
  return pathFor(target, { label, timeline: endTimeline, endLsn }, histories);
}

/**
 * The backups that can lead to a target, best first: those that end before it, on the way to its timeline.
 * @param backups valid ones, oldest first
 * @throws PgmonetaError RESTORE_NOBACKUP, or WAL_TIMELINE, saying why there is none
 */
export function candidatesFor<B extends { readonly wal: BackupWal }>(
  identifier: 'newest' | 'latest' | 'oldest',
  position: Position,
  backups: readonly B[],
  histories: Histories,
): readonly Candidate<B>[] {
  const candidates: Candidate<B>[] = [];
  let astray: PgmonetaError | undefined;
  for (const backup of backups) {
    if (endsAfter(backup.wal, position.target)) continue;
    try {
      candidates.push({ backup, path: pathOf(position, backup.wal, histories) });
    } catch (error) {
      astray = asPgmonetaError(error);
    }
  }
  if (candidates.length > 0) return identifier === 'oldest' ? candidates : candidates.reverse();
  if (astray !== undefined) throw astray;
  throw nothingBefore(position, backups);
}

function nothingBefore({ target }: Position, backups: readonly { readonly wal: BackupWal }[]): PgmonetaError {
  const [oldest] = backups;
  const goal = 'value' in target ? `${target.kind}=${target.value}` : target.kind;
  if (oldest === undefined) return new PgmonetaError('RESTORE_NOBACKUP', 'there is no valid backup');
  const { label, endLsn, stopTime } = oldest.wal;
  const time = stopTime === undefined ? '' : ` (${targetTime(stopTime)})`;
  return new PgmonetaError(
    'RESTORE_NOBACKUP',
    `no valid backup ends before the target ${goal}; the oldest, ${label}, ends at ${formatLsn(endLsn)}${time}`,
    { hint: 'a backup can only be restored to a moment after its end; choose a later target' },
  );
}

/** Labels of the backups that end at or before a position and are on the way to the timeline of a target. */
export function labelsBefore(
  position: Position,
  backups: readonly { readonly wal: BackupWal }[],
  histories: Histories,
  end: Lsn,
): readonly string[] {
  return backups
    .filter(({ wal }) => wal.endLsn <= end && !endsAfter(wal, position.target) && leads(position, wal, histories))
    .map(({ wal }) => wal.label);
}

function leads(position: Position, wal: BackupWal, histories: Histories): boolean {
  try {
    pathOf(position, wal, histories);
    return true;
  } catch {
    return false;
  }
}

/** Tries a backup; `until`: nothing behind the segment with this position has to be read. */
export type Try<B extends { readonly wal: BackupWal }> = (
  candidate: Candidate<B>,
  until: Lsn | undefined,
) => Promise<Attempt>;

/** A backup that leads to the target, and how. */
export interface Chosen<B extends { readonly wal: BackupWal }> {
  readonly candidate: Candidate<B>;
  readonly attempt: Extract<Attempt, { kind: 'reached' }>;
}

/**
 * Tries candidates in their order until one leads to the target. Names and transactions are searched towards older
 * backups, no stretch of WAL more than once.
 * @throws PgmonetaError of the best candidate when none does
 */
export async function firstThatLeads<B extends { readonly wal: BackupWal }>(
  identifier: 'newest' | 'latest' | 'oldest',
  position: Position,
  candidates: readonly Candidate<B>[],
  attempt: Try<B>,
): Promise<Chosen<B>> {
  const { kind } = position.target;
  const searched = kind === 'name' || kind === 'xid';
  let until: Lsn | undefined;
  let failure: PgmonetaError | undefined;
  for (const candidate of candidates) {
    const found = await attempt(candidate, until);
    if (found.kind === 'reached') {
      // What was found in a part is looked at once more with all that comes behind it.
      const whole = until === undefined ? found : await attempt(candidate, undefined);
      if (whole.kind === 'reached') return { candidate, attempt: whole };
    }
    if (found.kind === 'reached') continue;
    // When all of them stop too early, the last and oldest one has the most to say.
    if (failure === undefined || found.kind === 'early') failure = found.error;
    if (found.kind === 'early') until = undefined;
    else if (identifier === 'oldest') {
      // Behind a hole a later backup may go on; where there is nothing more, no other finds more.
      if (found.kind === 'beyond') break;
    } else if (!searched) break;
    else if (timelineOf(position) !== 'current') until = candidate.backup.wal.startLsn;
  }
  throw failure ?? new PgmonetaError('RESTORE_NOBACKUP', 'there is no valid backup');
}
