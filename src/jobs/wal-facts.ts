import { type BackupHeader, readBackupHeader } from '../native/manifest.js';
import {
  isSegmentName,
  isSegmentSize,
  type Lsn,
  parseLsn,
  type SegmentName,
  segmentNumber,
  segmentStart,
  type TimelineId,
} from '../postgres/types.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { readArchive, type WalArchive } from '../wal/archive.js';
import type { HeldBackup } from '../wal/horizon.js';
import { DEFAULT_SEGMENT_SIZE, sizeOnDisk, sizesThatFit } from '../wal/segment-size.js';
import { surveyWal, type WalSurvey } from '../wal/survey.js';
import type { WindowBackup } from '../wal/window.js';

/** What a backup says of its WAL. */
export interface BackupWal extends HeldBackup, WindowBackup {
  /** Bytes per segment; undefined when the backup does not tell. */
  readonly segmentSize: number | undefined;
}

/** Reads what a backup says of its WAL: from `backup.json`, and for backups of 0.21 from `backup.info`. */
export async function readBackupWal(backup: KnownBackup): Promise<BackupWal> {
  const { info, label } = backup;
  const header: BackupHeader = await readBackupHeader(backup.directory).catch(() => ({}));
  const startLsn = parseLsn(info.startLsn);
  const endLsn = parseLsn(info.endLsn);
  const segmentSize = segmentSizeOf(header, info.wal, startLsn);
  return {
    label,
    timeline: info.startTimeline as TimelineId,
    startLsn,
    startSegment: isSegmentName(info.wal) ? (info.wal as SegmentName) : undefined,
    endLsn,
    endTimeline: info.endTimeline as TimelineId,
    stopTime: stopTimeOf(header, label, info.elapsed.ELAPSED ?? 0),
    ownWalEnd: ownWalEnd(header, endLsn, segmentSize),
    segmentSize,
  };
}

function segmentSizeOf(header: BackupHeader, segment: string, startLsn: Lsn): number | undefined {
  const { walSegmentSize } = header;
  if (walSegmentSize !== undefined && isSegmentSize(walSegmentSize)) return walSegmentSize;
  const fitting = sizesThatFit(segment, startLsn);
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** For a backup of 0.21: its label is the local time of its start, and it records how long it took. */
function stopTimeOf(header: BackupHeader, label: string, elapsed: number): Date | undefined {
  const recorded = new Date(header.stopTime ?? '');
  if (!Number.isNaN(recorded.getTime())) return recorded;
  const [year, month, day, hour, minute, second] = [label.slice(0, 4), ...(label.slice(4).match(/../g) ?? [])].map(
    Number,
  );
  const start = new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
  return new Date(start.getTime() + Math.ceil(elapsed * 1000));
}

/** A primary switches to the next segment when a backup ends, so that the last segment in the backup is whole. */
function ownWalEnd(header: BackupHeader, endLsn: Lsn, segmentSize: number | undefined): Lsn {
  if (header.takenFrom !== 'primary' || segmentSize === undefined || endLsn === 0n) return endLsn;
  return segmentStart(segmentNumber(endLsn - 1n, segmentSize) + 1n, segmentSize);
}

/** An archive, and whether its segment size is more than a guess. */
export interface Sized<Archive> {
  readonly archive: Archive;
  /** Why positions in the archive cannot be relied upon; undefined when they can. */
  readonly doubt: string | undefined;
}

/**
 * Reads a directory of WAL, file by file, with the segment size that the backups and the files in it tell.
 * @throws PgmonetaError IO when it cannot be read
 */
export function readSizedArchive(directory: string, backups: readonly BackupWal[]): Promise<Sized<WalArchive>> {
  return sized(backups, (size) => readArchive(directory, size), sizeOnDisk);
}

/**
 * The same without the names of the files: for the daemon, which has better things to do than to read them.
 * @param options.bytes whether every file is asked for its size
 * @throws PgmonetaError IO when the directory cannot be listed
 */
export function surveySizedWal(
  directory: string,
  backups: readonly BackupWal[],
  options: { readonly bytes: boolean },
): Promise<Sized<WalSurvey>> {
  return sized(
    backups,
    (size) => surveyWal(directory, size, options),
    (survey) => survey.sizeOnDisk,
  );
}

async function sized<Archive extends { readonly segmentSize: number }>(
  backups: readonly BackupWal[],
  read: (segmentSize: number) => Promise<Archive>,
  onDisk: (archive: Archive) => number | undefined | Promise<number | undefined>,
): Promise<Sized<Archive>> {
  const told = backups.flatMap((backup) => (backup.segmentSize === undefined ? [] : [backup.segmentSize]));
  const archive = await read(told.at(-1) ?? DEFAULT_SEGMENT_SIZE);
  const found = await onDisk(archive);
  const sizes = [...new Set([...told, ...(found === undefined ? [] : [found])])];
  if (sizes.length > 1) {
    return { archive, doubt: `the backups and the WAL have segments of different sizes: ${sizes.join(', ')} bytes` };
  }
  const [size] = sizes;
  if (size === undefined) return { archive, doubt: 'neither a backup nor a file tells the size of WAL segments' };
  return { archive: size === archive.segmentSize ? archive : await read(size), doubt: undefined };
}
