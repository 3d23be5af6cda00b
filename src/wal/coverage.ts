import {
  type Lsn,
  type SegmentName,
  segmentName,
  segmentNumber,
  segmentStart,
  type TimelineId,
  toLsn,
} from '../postgres/types.js';
import { type WalArchive, wholeFile } from './archive.js';
import { type PartialSegment, timelinesOf, type WalExtent } from './extent.js';
import { ancestry, type PathPiece, type TimelinePath, timelineAt } from './timelines.js';

/**
 * Up to where the content of a partial segment is known to be WAL (the receiver knows for the open one, a scan for
 * the last one of a timeline); undefined: not known, it counts for nothing.
 */
export type PartialEnd = (partial: PartialSegment) => Lsn | undefined;

/** What the receiver of a server tells of the segment that it is writing. */
export interface LiveWal {
  readonly timeline: TimelineId;
  /** First byte that is not durable yet. */
  readonly durable: Lsn;
  /** Time of the newest WAL; undefined while it is not known. */
  readonly newest?: Date | undefined;
}

/** What a receiver knows of partial segments: only of the one it writes. */
export function liveEnd(live: LiveWal | undefined): PartialEnd {
  return (partial) =>
    live !== undefined && live.timeline === partial.timeline && live.durable >= partial.begin
      ? live.durable
      : undefined;
}

/** WAL that is not there. */
export interface MissingWal {
  /** The first segment that would be needed. */
  readonly segment: SegmentName;
  readonly timeline: TimelineId;
  readonly from: Lsn;
  readonly to: Lsn;
}

/** A file that holds WAL of a path. */
export interface SegmentUse {
  readonly file: string;
  readonly segment: SegmentName;
  readonly timeline: TimelineId;
  readonly number: bigint;
  /** First byte of the segment. */
  readonly begin: Lsn;
  readonly partial: boolean;
  /** Another file of the list holds the same stretch on a newer timeline, which PostgreSQL prefers. */
  readonly spare: boolean;
}

/** The files for a stretch of WAL, oldest first, or what is missing first. */
export type SegmentsOn =
  | { readonly kind: 'complete'; readonly files: readonly SegmentUse[] }
  | { readonly kind: 'missing'; readonly missing: MissingWal };

/** How far the archive goes without a hole. */
export interface Reach {
  /** First byte that is not there. */
  readonly lsn: Lsn;
  /** The timeline of the last byte that is. */
  readonly timeline: TimelineId;
  /** The hole, when there is more WAL of the path behind it; undefined where the archive just ends. */
  readonly missing: MissingWal | undefined;
}

interface Span {
  from: bigint;
  to: bigint;
}

const nothing: PartialEnd = () => undefined;
/** Positions end here; only a name that no server has written leads beyond. */
const LAST_LSN = (1n << 64n) - 1n;

function earlier(left: bigint, right: bigint | undefined): bigint {
  if (right === undefined || left < right) return left;
  return right;
}

function later(left: bigint, right: bigint): bigint {
  if (left > right) return left;
  return right;
}

/**
 * What the archive has of a path: ascending stretches that do not touch. The segment in which a timeline begins also
 * has what came before in that segment: PostgreSQL copies it when it switches.
 */
function covered(archive: WalExtent, path: TimelinePath, partialEnd: PartialEnd): Span[] {
  const size = BigInt(archive.segmentSize);
  const spans: Span[] = [];
  const add = (piece: PathPiece, from: bigint, to: bigint): void => {
    const floor = piece.begin - (piece.begin % size);
    const span = { from: later(from, floor), to: earlier(earlier(to, LAST_LSN), piece.end) };
    if (span.from < span.to) spans.push(span);
  };
  for (const piece of path) {
    for (const run of archive.timelines.get(piece.timeline) ?? []) add(piece, run.first * size, (run.last + 1n) * size);
    for (const partial of archive.partials) {
      if (partial.timeline === piece.timeline) add(piece, partial.begin, knownEnd(partial, size, partialEnd));
    }
  }
  spans.sort((left, right) => (left.from < right.from ? -1 : left.from > right.from ? 1 : 0));
  const merged: Span[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last === undefined || span.from > last.to) merged.push(span);
    else if (span.to > last.to) last.to = span.to;
  }
  return merged;
}

function knownEnd(partial: PartialSegment, size: bigint, partialEnd: PartialEnd): bigint {
  return earlier(partial.begin + size, partialEnd(partial) ?? partial.begin);
}

/** The newest timeline that has a part in segment `number`, among those that begin before `to`: its file is needed. */
function ownerOf(path: TimelinePath, number: bigint, to: bigint, segmentSize: number): TimelineId | undefined {
  const newest = path.findLast((piece) => piece.begin < to && segmentNumber(piece.begin, segmentSize) <= number);
  return newest?.timeline;
}

function missing(archive: WalExtent, path: TimelinePath, from: bigint, to: bigint): MissingWal {
  const number = segmentNumber(from, archive.segmentSize);
  const timeline = ownerOf(path, number, to, archive.segmentSize) ?? (1 as TimelineId);
  const segment = segmentName(timeline, number, archive.segmentSize);
  return { segment, timeline, from: toLsn(from), to: toLsn(to) };
}

/** How far one can go on a path from a position. */
export function reachable(archive: WalExtent, path: TimelinePath, from: Lsn, partialEnd: PartialEnd = nothing): Reach {
  const spans = covered(archive, path, partialEnd);
  const at = spans.find((span) => span.from <= from && from < span.to);
  const end = at?.to ?? from;
  const next = spans.find((span) => span.from > end);
  return {
    lsn: toLsn(end),
    timeline: timelineAt(path, end > 0n ? end - 1n : 0n) ?? (1 as TimelineId),
    missing: next === undefined ? undefined : missing(archive, path, end, next.from),
  };
}

/**
 * The files that hold the WAL of a path from one position up to, not including, another.
 * @param to not before `from`
 */
export function segmentsOn(
  archive: WalArchive,
  path: TimelinePath,
  from: Lsn,
  to: Lsn,
  partialEnd: PartialEnd = nothing,
): SegmentsOn {
  if (to <= from) return { kind: 'complete', files: [] };
  const spans = covered(archive, path, partialEnd);
  const at = spans.find((span) => span.from <= from && from < span.to);
  const end = at?.to ?? from;
  if (end < to) {
    const next = spans.find((span) => span.from > end)?.from ?? to;
    return { kind: 'missing', missing: missing(archive, path, end, earlier(next, to)) };
  }
  const files: SegmentUse[] = [];
  const last = segmentNumber(to - 1n, archive.segmentSize);
  for (let number = segmentNumber(from, archive.segmentSize); number <= last; number++) {
    files.push(...filesOf(archive, path, number, to, partialEnd));
  }
  return { kind: 'complete', files };
}

/** The files of one segment on a path, older timelines first; the newest one that goes far enough is not a spare. */
function filesOf(
  archive: WalArchive,
  path: TimelinePath,
  number: bigint,
  to: bigint,
  partialEnd: PartialEnd,
): SegmentUse[] {
  const { segmentSize } = archive;
  const begin = segmentStart(number, segmentSize);
  const end = begin + BigInt(segmentSize);
  const need = earlier(to, end);
  const files: SegmentUse[] = [];
  for (const piece of path.toReversed()) {
    const { timeline } = piece;
    if (segmentNumber(piece.begin, segmentSize) > number || (piece.end !== undefined && piece.end <= begin)) continue;
    const whole = wholeFile(archive, timeline, number);
    const partial = archive.partials.find((entry) => entry.timeline === timeline && entry.number === number);
    const file = whole ?? partial?.file;
    if (file === undefined) continue;
    const spare = files.length > 0;
    const known =
      whole !== undefined ? end : partial === undefined ? begin : knownEnd(partial, BigInt(segmentSize), partialEnd);
    const reaches = earlier(known, piece.end);
    // What is no more than a spare has to be whole; what is not has to go far enough.
    if (spare ? whole === undefined : reaches < need) continue;
    const segment = segmentName(timeline, number, segmentSize);
    files.push({ file, segment, timeline, number, begin, partial: whole === undefined, spare });
  }
  return files.reverse();
}

/** A stretch of WAL on one timeline. */
export interface Gap {
  readonly timeline: TimelineId;
  readonly from: Lsn;
  readonly to: Lsn;
}

/** The way to the newest timeline of the archive; empty when the archive is. */
export function newestPath(archive: WalExtent): TimelinePath {
  const newest = timelinesOf(archive).at(-1);
  return newest === undefined ? [] : ancestry(newest, archive.histories);
}

/** What is missing between a position and the end of the archive, on the way to its newest timeline. */
export function gaps(archive: WalExtent, since: Lsn, partialEnd: PartialEnd = nothing): readonly Gap[] {
  const path = newestPath(archive);
  const found: Gap[] = [];
  let position: bigint = since;
  for (const span of covered(archive, path, partialEnd)) {
    if (span.from > position) found.push(...alongPath(path, position, span.from));
    if (span.to > position) position = span.to;
  }
  return found;
}

function alongPath(path: TimelinePath, from: bigint, to: bigint): Gap[] {
  return path
    .filter((piece) => piece.begin < to && (piece.end === undefined || piece.end > from))
    .map(({ timeline, begin, end }) => ({
      timeline,
      from: toLsn(later(begin, from)),
      to: toLsn(earlier(to, end)),
    }));
}

/** Bytes of WAL that the archive has of a path from the segment of a position on. */
export function bytesFrom(archive: WalExtent, path: TimelinePath, from: Lsn, partialEnd: PartialEnd = nothing): number {
  const begin = from - (from % BigInt(archive.segmentSize));
  const sum = covered(archive, path, partialEnd).reduce(
    (bytes, span) => (span.to <= begin ? bytes : bytes + span.to - later(span.from, begin)),
    0n,
  );
  return Number(sum);
}
