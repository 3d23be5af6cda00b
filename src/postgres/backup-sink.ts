import type { Lsn } from './lsn.js';
import type { TimelineId } from './segment.js';

/** One archive that the server announces: a tablespace, or the data directory itself. */
export interface AnnouncedTablespace {
  /** Null for the data directory. */
  readonly oid: number | null;
  /** Null for the data directory. */
  readonly location: string | null;
  /** Estimated size in kB of 1024 bytes; null when progress was not asked for. */
  readonly sizeKb: number | null;
}

/** Where a backup starts, and what will come. */
export interface BaseBackupStart {
  readonly startLsn: Lsn;
  readonly startTimeline: TimelineId;
  /** In the order in which the archives come. */
  readonly tablespaces: readonly AnnouncedTablespace[];
}

/**
 * Takes a base backup as it arrives. Everything is called in the order of the stream. What a method throws ends the
 * backup, and is what `runBaseBackup` rejects with.
 */
export interface BaseBackupSink {
  /**
   * The backup has begun on the server. A promise stops the reading until it settles (up to one read buffer still
   * comes); its rejection ends the backup.
   */
  start(announcement: BaseBackupStart): void | Promise<void>;
  /**
   * A tar archive begins.
   * @param name `base.tar` or `<oid>.tar`, with `.gz`, `.zst` or `.lz4` when the server compresses
   * @param tablespacePath directory of the tablespace on the server, null for the data directory
   */
  beginArchive(name: string, tablespacePath: string | null): void;
  /**
   * Bytes of the archive. The buffer is used again after the call: take or copy what is needed.
   * @returns false to have the reading stopped until `drained` settles (up to one read buffer still comes)
   */
  data(chunk: Buffer): boolean;
  /** Settles when data may come again; a rejection ends the backup. */
  drained(): Promise<void>;
  /** The archive is complete; it ends without the two zero blocks of tar before version 15. */
  endArchive(): void;
  /** Bytes of the manifest, after all archives; the buffer is used again after the call. `false` as with `data`. */
  manifest(chunk: Buffer): unknown;
  /** Bytes that the server has read for archives so far, all together. */
  progress(bytesDone: number): void;
}

/** What a base backup came to. */
export interface BaseBackupResult {
  readonly startLsn: Lsn;
  readonly startTimeline: TimelineId;
  readonly endLsn: Lsn;
  readonly endTimeline: TimelineId;
  /** Bytes of all archives as they were received. */
  readonly archiveBytes: number;
  readonly manifestBytes: number;
  /** Warnings of the server during the backup, and what had to be changed in what was asked for. */
  readonly notes: readonly string[];
}
