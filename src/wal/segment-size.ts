import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSegmentName, isSegmentSize, type Lsn, segmentOf } from '../postgres/types.js';
import { type WalArchive, wholeFile } from './archive.js';
import type { PartialSegment } from './extent.js';

const MEBIBYTE = 1024 * 1024;

/** Bytes per segment that initdb chooses unless it is told otherwise. */
export const DEFAULT_SEGMENT_SIZE = 16 * MEBIBYTE;

/** All sizes that segments can have, ascending: 1 MiB to 1 GiB. */
export const SEGMENT_SIZES: readonly number[] = Array.from({ length: 11 }, (_, power) => MEBIBYTE * 2 ** power);

/** The sizes with which a position lies in the segment of a name: mostly one, several close to the start of 4 GiB. */
export function sizesThatFit(segment: string, lsn: Lsn): readonly number[] {
  if (!isSegmentName(segment)) return [];
  const timeline = Number.parseInt(segment.slice(0, 8), 16);
  return SEGMENT_SIZES.filter((size) => segmentOf(timeline, lsn, size) === segment);
}

/**
 * The size of the segments on disk: that of a plain or partial file, which both have the full size.
 * Undefined when there is none, or it has no size that segments can have.
 */
export async function sizeOnDisk(archive: WalArchive): Promise<number | undefined> {
  for (const file of plainFiles(archive)) {
    const status = await lstat(join(archive.directory, file)).catch(() => undefined);
    if (status?.isFile() && isSegmentSize(status.size)) return status.size;
  }
  return undefined;
}

/** A few: one may be on its way out. */
function plainFiles(archive: WalArchive): readonly string[] {
  const partials = archive.partials.map((partial: PartialSegment) => partial.file);
  const whole = [...archive.timelines].flatMap(([timeline, runs]) =>
    runs.slice(-1).map((run) => wholeFile(archive, timeline, run.last)),
  );
  return [...partials, ...whole]
    .filter((file) => file !== undefined && /^[0-9A-F]{24}(\.partial)?$/.test(file))
    .slice(-8) as string[];
}
