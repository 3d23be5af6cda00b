import { PgmonetaError } from '../errors/index.js';
import { formatLsn, type Lsn, segmentNumber, segmentStart, type TimelineId } from '../postgres/types.js';
import type { WalArchive } from './archive.js';
import { timelinesOf } from './extent.js';
import { ancestry, type PathPiece } from './timelines.js';

/** Where receiving begins: the start of a segment. */
export interface StartPosition {
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
  /** Why there, for the log. */
  readonly reason: string;
}

/** What the choice depends on. */
export interface StartInput {
  /** With the history of the server's timeline in it. */
  readonly archive: WalArchive;
  /** The timeline that the server writes now. */
  readonly timeline: TimelineId;
  /** End of the WAL that is durable on the server. */
  readonly position: Lsn;
  /** Oldest WAL that the slot keeps; null when it keeps none. */
  readonly slotPosition: Lsn | null;
}

/**
 * Decides where receiving begins: after the last whole segment of the newest timeline in the archive that leads to the
 * server's, else where the slot begins, else where the server is now.
 * @throws PgmonetaError WAL_DIVERGED when the archive is ahead of the server: it was rewound, or is another one
 */
export function startPosition(input: StartInput): StartPosition {
  const { archive, timeline, position, slotPosition } = input;
  const path = ancestry(timeline, archive.histories);
  for (let index = path.length - 1; index >= 0; index--) {
    const piece = path[index] as PathPiece;
    const next = nextSegment(archive, piece.timeline);
    if (next === undefined) continue;
    if (piece.end !== undefined && next >= piece.end) {
      // All that belongs to this timeline is there, and perhaps more that a former primary wrote.
      const following = path[index + 1] as PathPiece;
      const lsn = wholeSegment(archive, piece.end);
      return { timeline: following.timeline, lsn, reason: `timeline ${piece.timeline} is complete in the archive` };
    }
    refuseAhead(archive, next, piece, input);
    return { timeline: piece.timeline, lsn: next, reason: 'where the archive ends' };
  }
  refuseForeign(input, path);
  const [first, reason] =
    slotPosition === null
      ? [position, 'where the server is: the slot keeps no WAL']
      : [slotPosition, 'where the slot begins'];
  const owner = path.findLast((piece) => piece.begin <= first) ?? path.at(-1);
  return { timeline: owner?.timeline ?? timeline, lsn: wholeSegment(archive, first), reason };
}

function wholeSegment(archive: WalArchive, lsn: Lsn): Lsn {
  return segmentStart(segmentNumber(lsn, archive.segmentSize), archive.segmentSize);
}

/** The first byte to be received of a timeline; undefined when nothing of it is there. */
function nextSegment(archive: WalArchive, timeline: TimelineId): Lsn | undefined {
  const last = archive.timelines.get(timeline)?.at(-1)?.last;
  const partial = archive.partials.findLast((candidate) => candidate.timeline === timeline);
  // A partial segment behind the last whole one is received again from its start.
  if (partial !== undefined && (last === undefined || partial.number > last)) return partial.begin;
  return last === undefined ? undefined : segmentStart(last + 1n, archive.segmentSize);
}

function refuseAhead(archive: WalArchive, next: Lsn, piece: PathPiece, { timeline, position }: StartInput): void {
  if (piece.timeline !== timeline || next <= position) return;
  throw new PgmonetaError(
    'WAL_DIVERGED',
    `${archive.directory} has WAL of timeline ${timeline} up to ${formatLsn(next)}, but the server is only at ${formatLsn(position)}`,
    {
      hint: 'the server was set back (restored, or its data directory replaced) without a new timeline: take it over as a new server section, or restore it with a recovery target so that it gets a timeline of its own',
    },
  );
}

/** An archive that has WAL, but none that leads to the server's timeline, is not silently continued. */
function refuseForeign({ archive, timeline }: StartInput, path: readonly PathPiece[]): void {
  const present = timelinesOf(archive).filter(
    (known) => archive.timelines.has(known) || archive.partials.some((partial) => partial.timeline === known),
  );
  const newer = present.filter((known) => known > timeline && !path.some((piece) => piece.timeline === known));
  if (newer.length === 0) return;
  throw new PgmonetaError(
    'WAL_DIVERGED',
    `${archive.directory} has WAL of timeline ${newer.join(', ')}, but the server is on timeline ${timeline}, which is older`,
    {
      hint: 'the server may be a former primary that was left behind by a promotion: point the section at the new primary',
    },
  );
}
