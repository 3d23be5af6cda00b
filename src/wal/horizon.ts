import { PgmonetaError } from '../errors/index.js';
import {
  type Lsn,
  parseSegmentName,
  type SegmentName,
  segmentNumber,
  segmentStart,
  type TimelineId,
} from '../postgres/types.js';
import type { Run, WalArchive } from './archive.js';
import { timelinesOf } from './extent.js';
import { ancestry, type Histories, isKnownTimeline, timelineAt } from './timelines.js';

/** A backup that must stay restorable. */
export interface HeldBackup {
  readonly label: string;
  /** The timeline it starts on. */
  readonly timeline: TimelineId;
  readonly startLsn: Lsn;
  /** First segment that it needs, as recorded; undefined when it is not. */
  readonly startSegment: SegmentName | undefined;
}

/** A place on a timeline. */
export interface WalPoint {
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
}

/** What the horizon depends on. */
export interface HorizonInput {
  readonly archive: WalArchive;
  /** Every backup that has to stay restorable to everything after it. */
  readonly backups: readonly HeldBackup[];
  /** Labels of backups of which nobody can tell what they need, because their `backup.info` cannot be read. */
  readonly doubtful?: readonly string[] | undefined;
  /** Timelines that backups of any state are on: their history files stay. */
  readonly timelinesInUse?: readonly TimelineId[] | undefined;
  /** Windows that are promised whatever backups there are: from here on everything stays. */
  readonly promisedFrom?: ReadonlyMap<TimelineId, Lsn> | undefined;
  /** `restart_lsn` of the slot: nothing from there on goes. */
  readonly slotPosition?: Lsn | undefined;
  /** The segment that is being received; without it the archive's own open segment is taken. */
  readonly open?: { readonly timeline: TimelineId; readonly number: bigint } | undefined;
  /** Without a backup, WAL before this point may go; without both nothing goes. */
  readonly receiverStart?: WalPoint | undefined;
}

/** A file that nothing needs. */
export interface Removal {
  readonly file: string;
  /** Why it may go, for people. */
  readonly reason: string;
}

/** What may go from an archive. */
export interface HorizonPlan {
  /** For every timeline of the archive: everything from here on stays. */
  readonly keepFrom: ReadonlyMap<TimelineId, Lsn>;
  /** Oldest first, history files last. */
  readonly remove: readonly Removal[];
  /** For every timeline, why its horizon is where it is. */
  readonly reasons: ReadonlyMap<TimelineId, string>;
}

/** Something that needs all WAL of its future: a backup, or a promised window. */
interface Anchor {
  readonly what: string;
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
  /** First segment that stays. */
  readonly number: bigint;
}

/** Horizon of one timeline: segments below `number` may go. */
interface Horizon {
  readonly number: bigint;
  readonly reason: string;
}

const keepAll = (reason: string): Horizon => ({ number: 0n, reason });

/**
 * Decides which files of an archive may go. When in doubt a file stays: a segment of a timeline whose origin is not
 * known, of one that is being received and has no backup yet, and everything from the start of the oldest backup on.
 */
export function planHorizon(input: HorizonInput): HorizonPlan {
  const { archive } = input;
  const keepFrom = new Map<TimelineId, Lsn>();
  const reasons = new Map<TimelineId, string>();
  const horizons = new Map<TimelineId, Horizon>();
  const decide = horizonRule(input);
  for (const timeline of timelinesOf(archive)) {
    const horizon = decide(timeline);
    horizons.set(timeline, horizon);
    reasons.set(timeline, horizon.reason);
    keepFrom.set(timeline, segmentStart(horizon.number, archive.segmentSize));
  }
  return { keepFrom, reasons, remove: [...segmentsBelow(input, horizons), ...historiesToRemove(input, horizons)] };
}

function horizonRule(input: HorizonInput): (timeline: TimelineId) => Horizon {
  const { archive, slotPosition } = input;
  if (archive.misfits.length > 0) {
    const [first] = archive.misfits;
    return () => keepAll(`${first} is not the name of a segment of ${archive.segmentSize} bytes: nothing is removed`);
  }
  const slot = slotPosition === undefined ? undefined : segmentNumber(slotPosition, archive.segmentSize);
  const decide = input.backups.length > 0 ? ruleOfAnchors(input) : ruleOfReceiver(input);
  return (timeline) => {
    const horizon = decide(timeline);
    if (slot === undefined || horizon.number <= slot) return horizon;
    return { number: slot, reason: 'before the position of the replication slot' };
  };
}

/** Without a backup only what lies before the receiver's start may go, and that only when the caller gives it. */
function ruleOfReceiver({ archive, receiverStart, promisedFrom }: HorizonInput): (timeline: TimelineId) => Horizon {
  if (receiverStart === undefined) return () => keepAll('there is no valid backup: nothing is removed');
  if (promisedFrom !== undefined && promisedFrom.size > 0) return () => keepAll('a window is promised');
  const path = ancestry(receiverStart.timeline, archive.histories);
  const number = segmentNumber(receiverStart.lsn, archive.segmentSize);
  return (timeline) =>
    path.some((piece) => piece.timeline === timeline)
      ? { number, reason: 'there is no valid backup, and WAL is received from a later position on' }
      : keepAll('there is no valid backup: nothing is removed');
}

function ruleOfAnchors(input: HorizonInput): (timeline: TimelineId) => Horizon {
  const { archive } = input;
  const { histories, segmentSize } = archive;
  const anchors = anchorsOf(input);
  const lowest = lowestOf(anchors);
  const oldest = oldestOf(input.backups);
  const oldestNumber = startNumber(oldest, segmentSize);
  const open = input.open ?? archive.open;
  const doubtful = input.doubtful ?? [];
  const older = doubtful.find((label) => label < oldest.label);
  if (older !== undefined) return () => keepAll(`what backup ${older} needs is not known: nothing is removed`);
  return (timeline) => {
    const reaching = anchors.filter((anchor) => reaches(anchor, timeline, histories));
    // A doubtful backup is newer than the oldest one. In the future of the oldest it needs nothing from before that;
    // elsewhere nobody knows.
    if (doubtful.length > 0 && !reaches(pointOf(oldest), timeline, histories)) {
      return keepAll(`what backup ${doubtful[0]} needs is not known: nothing of timeline ${timeline} is removed`);
    }
    if (reaching.length > 0) {
      const first = lowestOf(reaching);
      if (first.number <= oldestNumber) return { number: first.number, reason: `before the start of ${first.what}` };
      return { number: oldestNumber, reason: `before the start of backup ${oldest.label}, the oldest` };
    }
    if (!isKnownTimeline(timeline, histories)) {
      return keepAll(`where timeline ${timeline} comes from is not known: its history file is missing or damaged`);
    }
    if (open?.timeline === timeline) return keepAll(`timeline ${timeline} is being received and has no backup yet`);
    const newer = anchors.every((anchor) => anchor.timeline > timeline);
    if (!newer) return keepAll(`timeline ${timeline} has no backup, and is not older than all there are`);
    return { number: lowest.number, reason: `no backup leads to it, and all are newer (${lowest.what} is the first)` };
  };
}

function anchorsOf({ archive, backups, promisedFrom }: HorizonInput): Anchor[] {
  const anchors = backups.map(
    (backup): Anchor => ({
      what: `backup ${backup.label}`,
      timeline: backup.timeline,
      lsn: backup.startLsn,
      number: startNumber(backup, archive.segmentSize),
    }),
  );
  for (const [timeline, lsn] of promisedFrom ?? []) {
    anchors.push({ what: 'the promised window', timeline, lsn, number: segmentNumber(lsn, archive.segmentSize) });
  }
  return anchors;
}

/** The lower one of what was recorded and what follows from the start position: they agree unless one is damaged. */
function startNumber({ startLsn, startSegment }: HeldBackup, segmentSize: number): bigint {
  const computed = segmentNumber(startLsn, segmentSize);
  if (startSegment === undefined) return computed;
  try {
    const { number } = parseSegmentName(startSegment, segmentSize);
    if (number < computed) return number;
    return computed;
  } catch {
    return 0n; // recorded with another segment size: positions cannot be trusted
  }
}

function oldestOf([first, ...others]: readonly HeldBackup[]): HeldBackup {
  if (first === undefined) throw new PgmonetaError('INTERNAL', 'a horizon needs a backup');
  return others.reduce((oldest, backup) => (backup.label < oldest.label ? backup : oldest), first);
}

const pointOf = ({ timeline, startLsn }: HeldBackup): WalPoint => ({ timeline, lsn: startLsn });

function lowestOf(anchors: readonly Anchor[]): Anchor {
  return anchors.reduce((lowest, anchor) => (anchor.number < lowest.number ? anchor : lowest));
}

/** Whether the future of an anchor can lead to a timeline: whether it stands on the way there. */
function reaches(anchor: WalPoint, timeline: TimelineId, histories: Histories): boolean {
  return timelineAt(ancestry(timeline, histories), anchor.lsn) === anchor.timeline;
}

/** The last whole segment of the newest timeline: a receiver that starts again goes on from there. */
function lastSegment(archive: WalArchive): { timeline: TimelineId; number: bigint } | undefined {
  const newest = [...archive.timelines].reduce<[TimelineId, readonly Run[]] | undefined>(
    (best, entry) => (best === undefined || entry[0] > best[0] ? entry : best),
    undefined,
  );
  const run = newest?.[1].at(-1);
  return newest === undefined || run === undefined ? undefined : { timeline: newest[0], number: run.last };
}

function segmentsBelow(input: HorizonInput, horizons: ReadonlyMap<TimelineId, Horizon>): Removal[] {
  const { archive } = input;
  const open = input.open ?? archive.open;
  const resume = lastSegment(archive);
  const found: (Removal & { readonly timeline: TimelineId; readonly number: bigint })[] = [];
  const consider = (file: string, timeline: TimelineId, number: bigint): void => {
    const horizon = horizons.get(timeline);
    if (horizon === undefined || number >= horizon.number || file.endsWith('.partial')) return;
    if (open?.timeline === timeline && open.number === number) return;
    if (resume?.timeline === timeline && resume.number === number) return;
    found.push({ file, timeline, number, reason: horizon.reason });
  };
  for (const [timeline, runs] of archive.timelines) {
    for (const { first, files } of runs) {
      for (const [index, file] of files.entries()) consider(file, timeline, first + BigInt(index));
    }
  }
  for (const { file, timeline, number } of archive.superseded) consider(file, timeline, number);
  found.sort((left, right) => {
    if (left.number !== right.number) return left.number < right.number ? -1 : 1;
    if (left.timeline !== right.timeline) return left.timeline - right.timeline;
    return left.file < right.file ? -1 : 1;
  });
  return found.map(({ file, reason }) => ({ file, reason }));
}

/**
 * A history file goes when nothing of its timeline or of a descendant is left, and every backup is on a newer
 * timeline: PostgreSQL looks for the newest timeline by counting up from the backup's, and a number that is missing
 * would end its search.
 */
function historiesToRemove(input: HorizonInput, horizons: ReadonlyMap<TimelineId, Horizon>): Removal[] {
  const { archive, backups, timelinesInUse = [], promisedFrom, receiverStart } = input;
  if (backups.length === 0 || archive.misfits.length > 0 || (input.doubtful ?? []).length > 0) return [];
  const inUse = [...backups.map((backup) => backup.timeline), ...timelinesInUse, ...(promisedFrom?.keys() ?? [])];
  const open = input.open ?? archive.open;
  if (open !== undefined) inUse.push(open.timeline);
  if (receiverStart !== undefined) inUse.push(receiverStart.timeline);
  const lowest = inUse.reduce((least, timeline) => Math.min(least, timeline), Number.POSITIVE_INFINITY);
  const left = new Set<TimelineId>(inUse);
  for (const { timeline } of archive.partials) left.add(timeline);
  for (const [timeline, runs] of archive.timelines) {
    const last = runs.at(-1)?.last ?? 0n;
    if (last >= (horizons.get(timeline)?.number ?? 0n)) left.add(timeline);
  }
  const needed = new Set<TimelineId>(left);
  for (const timeline of left) {
    const history = archive.histories.get(timeline);
    if (history === undefined && timeline > 1) return []; // any of the others may be what tells where it comes from
    for (const entry of history?.entries ?? []) needed.add(entry.timeline);
  }
  return [...archive.historyFiles]
    .filter(([timeline]) => timeline < lowest && !needed.has(timeline) && archive.histories.has(timeline))
    .sort(([one], [other]) => one - other)
    .flatMap(([timeline, files]) =>
      files.map((file) => ({ file, reason: `nothing of timeline ${timeline} or of one that comes from it is left` })),
    );
}
