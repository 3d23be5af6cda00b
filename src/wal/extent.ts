import type { PgmonetaError } from '../errors/index.js';
import type { Lsn, SegmentName, TimelineId } from '../postgres/types.js';
import type { Histories } from './timelines.js';

/** Whole segments of one timeline without a hole between them: the first and the last, counted since LSN 0. */
export interface Stretch {
  readonly first: bigint;
  readonly last: bigint;
}

/** A segment of which there is no whole file. */
export interface PartialSegment {
  readonly file: string;
  readonly segment: SegmentName;
  readonly timeline: TimelineId;
  readonly number: bigint;
  /** First byte of the segment. */
  readonly begin: Lsn;
}

/**
 * What a directory of WAL has, without the names of its files: enough to tell how far it reaches and what it lacks. It
 * grows with the number of holes, not with that of segments.
 */
export interface WalExtent {
  readonly directory: string;
  /** Bytes per segment. */
  readonly segmentSize: number;
  /** Whole segments, ascending. */
  readonly timelines: ReadonlyMap<TimelineId, readonly Stretch[]>;
  /** Ascending by timeline and number. */
  readonly partials: readonly PartialSegment[];
  readonly histories: Histories;
  /** Files of each history, both cases. */
  readonly historyFiles: ReadonlyMap<TimelineId, readonly string[]>;
  /** Why a history file cannot be used. */
  readonly damaged: ReadonlyMap<TimelineId, PgmonetaError>;
  /** Files with the name of a segment that cannot be with this size: the size is wrong, or was changed. */
  readonly misfits: readonly string[];
}

/** All timelines of which there is a segment or a history file, ascending. */
export function timelinesOf(extent: Pick<WalExtent, 'timelines' | 'historyFiles' | 'partials'>): readonly TimelineId[] {
  const all = new Set<TimelineId>([...extent.timelines.keys(), ...extent.historyFiles.keys()]);
  for (const { timeline } of extent.partials) all.add(timeline);
  return [...all].sort((left, right) => left - right);
}
