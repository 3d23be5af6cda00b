import { PRODUCT_VERSION } from '../management/index.js';
import type { ReceivedSummary } from '../native/receiver.js';
import { formatLsn } from '../postgres/index.js';
import type { BackupInfo } from '../repository/backup-info.js';
import { codecOf, compressionCode, encryptionCode } from '../repository/codes.js';
import type { BackupLabelFile } from './backup-label.js';
import type { ExtraOutcome } from './extra.js';
import type { StreamedBackup } from './stream.js';
import { tablespaceDirectory } from './tablespace-name.js';
import type { BackupStart } from './take.js';

/** Version of the repository format that is written; readers derive the cipher's envelope from it. */
const FORMAT_VERSION = '0.21.0';

/** What a backup came to. */
export interface BackupOutcome {
  readonly info: BackupInfo;
  readonly files: number;
  /** Files that hold changed blocks only. */
  readonly incrementalFiles: number;
  readonly linkedFiles: number;
  readonly linkedBytes: number;
  /** What became of the setting `extra`. */
  readonly extra: ExtraOutcome;
}

/** The content of `backup.info`. */
export function describeBackup(
  start: BackupStart,
  received: ReceivedSummary,
  streamed: StreamedBackup,
  label: BackupLabelFile,
): Omit<BackupOutcome, 'extra'> {
  const { order, begun } = start;
  const { facts, parent } = order;
  const seconds = (Date.now() - begun) / 1000;
  const info: BackupInfo = {
    version: FORMAT_VERSION,
    status: true,
    label: start.label,
    wal: label.startSegment,
    backupSize: received.backupSize + received.tablespaceBackupSize,
    restoreSize: received.restoreSize + received.tablespaceRestoreSize,
    biggestFile: received.biggestFile,
    elapsed: { ELAPSED: seconds, BASEBACKUP_ELAPSED: (streamed.stopped.getTime() - begun) / 1000 },
    majorVersion: facts.majorVersion,
    minorVersion: facts.minorVersion,
    keep: false,
    compression: compressionCode(order.compression),
    encryption: encryptionCode(order.encryption),
    tablespaces: facts.tablespaces.map(({ oid, name, location }) => ({
      directory: tablespaceDirectory(name),
      oid: String(oid),
      path: location,
    })),
    startLsn: formatLsn(streamed.startLsn),
    endLsn: formatLsn(streamed.endLsn),
    checkpointLsn: label.checkpointLsn,
    startTimeline: streamed.startTimeline,
    endTimeline: streamed.endTimeline,
    incremental: parent !== undefined,
    parent: parent?.backup.label ?? '',
    comments: '',
    // 0.21 reads EXTRA over the comments and loses both: what there is stands in extra/ and in backup.sha512.
    extra: '',
  };
  const { files, incrementalFiles, linkedFiles, linkedBytes } = received;
  return { info, files, incrementalFiles, linkedFiles, linkedBytes };
}

/** The `Backup` object of `backup.json`: what `backup.info` has no place for, in machine-readable form. */
export function jsonHeader(
  start: BackupStart,
  received: ReceivedSummary,
  streamed: StreamedBackup,
  label: BackupLabelFile,
): string {
  const { order } = start;
  const { facts, parent } = order;
  return JSON.stringify({
    label: start.label,
    kind: parent === undefined ? 'full' : 'incremental',
    ...(parent === undefined ? {} : { parent: parent.backup.label }),
    server: order.server.name,
    productVersion: PRODUCT_VERSION,
    systemIdentifier: facts.systemIdentifier,
    majorVersion: facts.majorVersion,
    minorVersion: facts.minorVersion,
    takenFrom: label.from,
    startLsn: formatLsn(streamed.startLsn),
    endLsn: formatLsn(streamed.endLsn),
    checkpointLsn: label.checkpointLsn,
    startTimeline: streamed.startTimeline,
    endTimeline: streamed.endTimeline,
    startTime: new Date(start.begun).toISOString(),
    stopTime: streamed.stopped.toISOString(),
    compression: codecOf(order.compression),
    compressionLevel: order.compressionLevel,
    encryption: order.encryption,
    manifestChecksums: order.server.manifest_checksums,
    blockSize: facts.blockSize,
    relsegSize: facts.relsegSize,
    walSegmentSize: facts.walSegmentSize,
    dataChecksums: facts.dataChecksums,
    plainBytes: received.plainBytes,
    storedBytes: received.storedBytes,
    tablespaces: facts.tablespaces.map(({ oid, name, location }) => ({
      oid: String(oid),
      name,
      path: location,
    })),
  });
}
