import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { proveSegment, type WalFacts } from '../native/wal-scan.js';
import { type Lsn, parseLsn, segmentNumber, segmentStart, type TimelineId, toLsn } from '../postgres/types.js';
import { type WalArchive, wholeFile } from '../wal/archive.js';
import { type MissingWal, type PartialEnd, reachable, type SegmentUse, segmentsOn } from '../wal/coverage.js';
import type { PartialSegment } from '../wal/extent.js';
import { parseStoredName } from '../wal/stored-name.js';
import { type TimelinePath, timelineAt } from '../wal/timelines.js';
import type { BackupWal } from './wal-facts.js';

/** A backup whose WAL is looked at. */
export interface StretchBackup {
  readonly directory: string;
  readonly wal: BackupWal;
}

/** The WAL at hand from the start of a backup on, along a path and without a hole. */
export interface Stretch {
  readonly path: TimelinePath;
  /** Files in the order in which recovery reads them. */
  readonly files: readonly string[];
  /** Up to here the backup brings its WAL itself. */
  readonly archiveFrom: Lsn;
  /** First byte that is not there; in a segment that was not completed the WAL itself ends earlier. */
  readonly end: Lsn;
  /** Why it ends there when there is more WAL behind. */
  readonly missing: MissingWal | undefined;
  readonly partialEnd: PartialEnd;
}

/**
 * Finds the WAL of a backup along a path: the segments that it brings, then those of the archive.
 * @param until only up to the end of the segment that holds this position
 * @throws PgmonetaError RESTORE_SETUP when the backup has not got the WAL that makes it consistent
 */
export async function findStretch(
  archive: WalArchive,
  { directory, wal }: StretchBackup,
  path: TimelinePath,
  facts: WalFacts,
  until: Lsn,
): Promise<Stretch> {
  const { segmentSize } = archive;
  const own = await ownSegments(directory, path, segmentSize);
  let archiveFrom = firstOfArchive(wal, path);
  const partialEnd = await partialEnds(archive, path, archiveFrom, facts);
  let reach = reachable(archive, path, archiveFrom, partialEnd);
  const last = own.get(segmentNumber(archiveFrom, segmentSize));
  if (reach.lsn === archiveFrom && last !== undefined && (await proveSegment(last, facts)).whole) {
    // The backup has the whole segment in which it ends, and the archive begins behind it.
    const next = segmentStart(segmentNumber(archiveFrom, segmentSize) + 1n, segmentSize);
    if (timelineAt(path, next - 1n) === wal.endTimeline) {
      archiveFrom = next;
      reach = reachable(archive, path, next, partialEnd);
    }
  }
  const limit = segmentStart(segmentNumber(until, segmentSize) + 1n, segmentSize);
  const isLimited = limit < reach.lsn;
  const end = isLimited ? limit : reach.lsn;
  const hasMore = end > archiveFrom;
  const brought = broughtFiles(archive, wal, own, hasMore ? archiveFrom : undefined);
  const found = segmentsOn(archive, path, archiveFrom, end, partialEnd);
  const files = found.kind === 'complete' ? found.files : [];
  return {
    path,
    files: [...brought, ...files.map((use) => join(archive.directory, use.file))],
    archiveFrom,
    end: hasMore ? end : archiveFrom,
    missing: isLimited ? undefined : reach.missing,
    partialEnd,
  };
}

/** The files of the archive for a stretch from the backup's own WAL up to, not including, a position. */
export function archiveFiles(archive: WalArchive, stretch: Stretch, to: Lsn): readonly SegmentUse[] {
  const { path, archiveFrom, partialEnd } = stretch;
  const found = segmentsOn(archive, path, archiveFrom, to, partialEnd);
  if (found.kind === 'complete') return found.files;
  throw new PgmonetaError('INTERNAL', `segment ${found.missing.segment} was there and is not planned`);
}

/** Where the archive has to take over; the backup's own WAL counts no further than its timeline goes on the path. */
function firstOfArchive(wal: BackupWal, path: TimelinePath): Lsn {
  const { endLsn, ownWalEnd = endLsn, endTimeline } = wal;
  return timelineAt(path, ownWalEnd - 1n) === endTimeline ? ownWalEnd : endLsn;
}

/** Segments in a backup, by number; of the newest timeline that is on the path. */
async function ownSegments(
  directory: string,
  path: TimelinePath,
  segmentSize: number,
): Promise<ReadonlyMap<bigint, string>> {
  const folder = join(directory, 'data', 'pg_wal');
  const own = new Map<bigint, string>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.sort()) {
    const stored = parseStoredName(name, segmentSize);
    if (stored.kind !== 'segment' || stored.partial) continue;
    if (!path.some((piece) => piece.timeline === stored.timeline)) continue;
    // Repositories of 0.21 have symbolic links between backups.
    own.set(stored.number, await realpath(join(folder, name)));
  }
  return own;
}

/** @param before the archive has everything from here on; undefined: it has nothing */
function broughtFiles(
  archive: WalArchive,
  wal: BackupWal,
  own: ReadonlyMap<bigint, string>,
  before: Lsn | undefined,
): string[] {
  const { segmentSize, directory } = archive;
  const files: string[] = [];
  const last =
    before === undefined ? segmentNumber(wal.endLsn - 1n, segmentSize) : segmentNumber(before, segmentSize) - 1n;
  for (let number = segmentNumber(wal.startLsn, segmentSize); number <= last; number++) {
    const stored = own.get(number) ?? named(directory, wholeFile(archive, wal.timeline, number));
    if (stored === undefined) {
      throw new PgmonetaError(
        'RESTORE_SETUP',
        `backup ${wal.label} lacks segment ${number} of the WAL that makes it consistent`,
        { hint: `check it with: pgmoneta-cli verify <server> ${wal.label}; another backup may do` },
      );
    }
    files.push(stored);
  }
  return files;
}

function named(directory: string, file: string | undefined): string | undefined {
  return file === undefined ? undefined : join(directory, file);
}

/**
 * Up to where segments that were not completed count. The last one counts whole, because only a scan of all that
 * comes before it can tell where its WAL ends: a record may have begun earlier.
 */
async function partialEnds(archive: WalArchive, path: TimelinePath, from: Lsn, facts: WalFacts): Promise<PartialEnd> {
  const size = BigInt(archive.segmentSize);
  const ends = new Map<string, Lsn>();
  const onPath = archive.partials.filter(
    (partial) => partial.begin + size > from && path.some((piece) => includes(piece, partial, size)),
  );
  for (const partial of onPath) {
    if (isLast(archive, path, partial)) ends.set(partial.file, toLsn(partial.begin + size));
    else {
      const proof = await proveSegment(join(archive.directory, partial.file), facts);
      ends.set(partial.file, parseLsn(proof.proved));
    }
  }
  return ({ file }) => ends.get(file);
}

function includes(piece: TimelinePath[number], { timeline, begin }: PartialSegment, size: bigint): boolean {
  return piece.timeline === timeline && piece.begin < begin + size && (piece.end === undefined || piece.end > begin);
}

/** Whether the path has no WAL behind a segment, and none of a newer timeline in its place. */
function isLast(archive: WalArchive, path: TimelinePath, { timeline, number }: PartialSegment): boolean {
  const isBehind = (other: TimelineId, last: bigint): boolean =>
    path.some((piece) => piece.timeline === other) && (last > number || (last === number && other > timeline));
  for (const [other, runs] of archive.timelines) if (runs.some((run) => isBehind(other, run.last))) return false;
  return !archive.partials.some((partial) => isBehind(partial.timeline, partial.number));
}
