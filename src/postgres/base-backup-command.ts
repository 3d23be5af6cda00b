import { formatBytes } from './format.js';
import { quoteReplicationLiteral } from './quote.js';

/** Checksums of the files in the manifest that the server sends. */
export type ManifestChecksums = 'crc32c' | 'sha512' | 'sha384' | 'sha256' | 'sha224' | 'none';

/** Compression by the server (15+). */
export interface ServerCompression {
  readonly algorithm: 'gzip' | 'zstd' | 'lz4';
  /** Without it the server takes its default. */
  readonly level?: number | undefined;
  /** Threads of the server, for zstd. */
  readonly workers?: number | undefined;
}

/** What BASE_BACKUP is asked for. WAL is always included, and the server never waits for its archiver. */
export interface BaseBackupRequest {
  /** Label in backup_label; shown in the server's log. */
  readonly label: string;
  /** Bytes per second; 0 or absent = as fast as possible. */
  readonly maxRateBytes?: number | undefined;
  readonly serverCompression?: ServerCompression | undefined;
  /** Default crc32c. */
  readonly manifestChecksums?: ManifestChecksums | undefined;
  /** Default true: the server estimates sizes and reports bytes done. */
  readonly progress?: boolean | undefined;
  /** Default fast. */
  readonly checkpoint?: 'fast' | 'spread' | undefined;
  /** 17+, after UPLOAD_MANIFEST. Default false. */
  readonly incremental?: boolean | undefined;
}

/** A command, and what had to be changed in what was asked for. */
export interface BaseBackupCommand {
  readonly sql: string;
  readonly notes: readonly string[];
}

/** What PostgreSQL accepts for MAX_RATE, in kB/s. */
export const MIN_RATE = 32;
export const MAX_RATE = 1024 * 1024;

/** A rate in the server's unit and range. @returns null for no limit */
export function clampRate(bytes: number): { kilobytes: number; note: string | undefined } | null {
  if (!(bytes > 0)) return null;
  const wanted = Math.ceil(bytes / 1024);
  const kilobytes = Math.min(MAX_RATE, Math.max(MIN_RATE, wanted));
  const note =
    kilobytes === wanted
      ? undefined
      : `max_rate of ${formatBytes(bytes)}/s is outside of what PostgreSQL accepts; ${formatBytes(kilobytes * 1024)}/s is used`;
  return { kilobytes, note };
}

function compressionOptions(compression: ServerCompression | undefined): string[] {
  if (compression === undefined) return [];
  const { algorithm, level, workers } = compression;
  const detail = [
    ...(level === undefined ? [] : [`level=${level}`]),
    ...(workers === undefined || algorithm !== 'zstd' ? [] : [`workers=${workers}`]),
  ];
  return [
    `COMPRESSION '${algorithm}'`,
    ...(detail.length === 0 ? [] : [`COMPRESSION_DETAIL ${quoteReplicationLiteral(detail.join(','))}`]),
  ];
}

/**
 * The command for a server of some major version. Options are in parentheses from 15 on; 13 and 14 have keywords.
 * Source: https://www.postgresql.org/docs/current/protocol-replication.html
 */
export function baseBackupCommand(major: number, request: BaseBackupRequest): BaseBackupCommand {
  const label = quoteReplicationLiteral(request.label);
  const checksums = `'${(request.manifestChecksums ?? 'crc32c').toUpperCase()}'`;
  const rate = clampRate(request.maxRateBytes ?? 0);
  const fast = (request.checkpoint ?? 'fast') === 'fast';
  const progress = request.progress ?? true;
  const maxRate = rate === null ? [] : [`MAX_RATE ${rate.kilobytes}`];
  const notes = rate?.note === undefined ? [] : [rate.note];
  if (major < 15) {
    const words = [
      `LABEL ${label}`,
      ...(progress ? ['PROGRESS'] : []),
      ...(fast ? ['FAST'] : []),
      'WAL',
      'NOWAIT',
      ...maxRate,
      "MANIFEST 'yes'",
      `MANIFEST_CHECKSUMS ${checksums}`,
    ];
    return { sql: `BASE_BACKUP ${words.join(' ')}`, notes };
  }
  const options = [
    ...(request.incremental ? ['INCREMENTAL'] : []),
    `LABEL ${label}`,
    'WAL true',
    'WAIT false',
    ...maxRate,
    ...compressionOptions(request.serverCompression),
    ...(progress ? ['PROGRESS true'] : []),
    `CHECKPOINT '${fast ? 'fast' : 'spread'}'`,
    "MANIFEST 'yes'",
    `MANIFEST_CHECKSUMS ${checksums}`,
  ];
  return { sql: `BASE_BACKUP (${options.join(', ')})`, notes };
}
