import { PgmonetaError } from '../errors/index.js';

/** A tablespace as `backup.info` records it. */
export interface TablespaceInfo {
  /** Directory beside `data/`: `tblspc_<name>`. */
  readonly directory: string;
  /** OID on the server, decimal. */
  readonly oid: string;
  /** Location on the server. */
  readonly path: string;
}

/** Seconds that the parts of a backup took, by the key they are stored under. */
export type ElapsedKey = (typeof ELAPSED_KEYS)[number];

/** The content of `backup.info` (pgmoneta 0.21). Sizes are bytes, elapsed times seconds. */
export interface BackupInfo {
  readonly version: string;
  /** `STATUS`: 1 valid, 0 not valid, undefined when the file does not say. */
  readonly status: boolean | undefined;
  readonly label: string;
  /** First WAL segment of the backup. */
  readonly wal: string;
  readonly backupSize: number;
  readonly restoreSize: number;
  readonly biggestFile: number;
  readonly elapsed: Readonly<Partial<Record<ElapsedKey, number>>>;
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly keep: boolean;
  /** Number as stored; see `codes.ts`. */
  readonly compression: number;
  /** Number as stored; see `codes.ts`. */
  readonly encryption: number;
  readonly tablespaces: readonly TablespaceInfo[];
  /** LSNs in PostgreSQL's text form. */
  readonly startLsn: string;
  readonly endLsn: string;
  readonly checkpointLsn: string;
  readonly startTimeline: number;
  readonly endTimeline: number;
  /** Whether the backup is incremental. */
  readonly incremental: boolean;
  /** Label of the parent, empty for a full backup. */
  readonly parent: string;
  /** `key|value,key|value`. */
  readonly comments: string;
  readonly extra: string;
}

const ELAPSED_KEYS = [
  'ELAPSED',
  'BASEBACKUP_ELAPSED',
  'HASH_ELAPSED',
  'COMPRESSION_ZSTD_ELAPSED',
  'COMPRESSION_GZIP_ELAPSED',
  'COMPRESSION_BZIP2_ELAPSED',
  'COMPRESSION_LZ4_ELAPSED',
  'ENCRYPTION_ELAPSED',
  'LINKING_ELAPSED',
  'MANIFEST_ELAPSED',
  'REMOTE_SSH_ELAPSED',
  'REMOTE_S3_ELAPSED',
  'REMOTE_AZURE_ELAPSED',
] as const;

/** No line of a sane file is longer; a longer one is refused rather than kept in memory. */
const LINE_LIMIT = 64 * 1024;
const SIZE_LIMIT = 4 * 1024 * 1024;
/** 0.21 keeps at most 64 tablespaces; ours allows more, but not what only a damaged file can ask for. */
const TABLESPACE_LIMIT = 65_536;

/** Writes `backup.info` with the keys in the order that pgmoneta 0.21 uses. */
export function formatBackupInfo(info: BackupInfo): string {
  const lines: [string, string][] = [
    ['PGMONETA_VERSION', info.version],
    ...(info.status === undefined ? [] : [['STATUS', info.status ? '1' : '0'] as [string, string]]),
    ['LABEL', info.label],
    ['WAL', info.wal],
    ['BACKUP', String(info.backupSize)],
    ['RESTORE', String(info.restoreSize)],
    ['BIGGEST_FILE', String(info.biggestFile)],
    ...ELAPSED_KEYS.map((key): [string, string] => [key, (info.elapsed[key] ?? 0).toFixed(4)]),
    ['MAJOR_VERSION', String(info.majorVersion)],
    ['MINOR_VERSION', String(info.minorVersion)],
    ['KEEP', info.keep ? '1' : '0'],
    ['TABLESPACES', String(info.tablespaces.length)],
    ['COMPRESSION', String(info.compression)],
    ['ENCRYPTION', String(info.encryption)],
  ];
  info.tablespaces.forEach((tablespace, index) => {
    // TABLESPACE_PATH has to be the last of its three: the C program advances its index there.
    lines.push([`TABLESPACE${index + 1}`, tablespace.directory]);
    lines.push([`TABLESPACE_OID${index + 1}`, tablespace.oid]);
    lines.push([`TABLESPACE_PATH${index + 1}`, tablespace.path]);
  });
  lines.push(
    ['START_WALPOS', info.startLsn],
    ['END_WALPOS', info.endLsn],
    ['CHKPT_WALPOS', info.checkpointLsn],
    ['START_TIMELINE', String(info.startTimeline)],
    ['END_TIMELINE', String(info.endTimeline)],
    ['TYPE', info.incremental ? '1' : '0'],
    ['PARENT', info.parent],
    ['COMMENTS', info.comments],
    ['EXTRA', info.extra],
  );
  return lines.map(([key, value]) => `${key}=${checkValue(key, value)}\n`).join('');
}

function checkValue(key: string, value: string): string {
  if (/[\n\r\0]/.test(value)) {
    throw new PgmonetaError(
      'INTERNAL',
      `the value of ${key} in backup.info contains a line break: ${JSON.stringify(value)}`,
    );
  }
  return value;
}

/**
 * Reads `backup.info`. Unknown keys are ignored and missing ones take their zero, as 0.21 does; what is there has
 * to make sense.
 * @param source path, for messages
 * @throws PgmonetaError REPOSITORY_DAMAGED with file, line and cause
 */
export function parseBackupInfo(text: string, source = 'backup.info'): BackupInfo {
  if (text.length > SIZE_LIMIT) damaged(source, 1, `larger than ${SIZE_LIMIT} bytes`);
  const values = new Map<string, string>();
  text.split('\n').forEach((line, index) => {
    if (line === '') return;
    if (line.length > LINE_LIMIT) damaged(source, index + 1, `the line is longer than ${LINE_LIMIT} bytes`);
    const equals = line.indexOf('=');
    if (equals <= 0) damaged(source, index + 1, 'expected KEY=value');
    values.set(line.slice(0, equals), line.slice(equals + 1).replace(/\r$/, ''));
  });
  if (values.size === 0) damaged(source, 1, 'the file is empty');
  return assemble(values, source);
}

function damaged(source: string, line: number, why: string): never {
  throw new PgmonetaError('REPOSITORY_DAMAGED', `${source}:${line}: ${why}`, {
    hint: 'the backup cannot be used; restore backup.info from a copy of the repository, or delete the backup',
  });
}

function assemble(values: ReadonlyMap<string, string>, source: string): BackupInfo {
  const text = (key: string): string => values.get(key) ?? '';
  const whole = (key: string): number => {
    const value = values.get(key);
    if (value === undefined || value === '') return 0;
    const parsed = Number(value);
    if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(parsed)) {
      throw new PgmonetaError('REPOSITORY_DAMAGED', `${source}: ${key}=${value.slice(0, 80)} is not a number`);
    }
    return parsed;
  };
  const elapsed: Partial<Record<ElapsedKey, number>> = {};
  for (const key of ELAPSED_KEYS) {
    const seconds = Number(values.get(key) ?? 0);
    elapsed[key] = Number.isFinite(seconds) ? seconds : 0;
  }
  return {
    version: text('PGMONETA_VERSION'),
    status: values.has('STATUS') ? text('STATUS') === '1' : undefined,
    label: text('LABEL'),
    wal: text('WAL') === '(null)' ? '' : text('WAL'),
    backupSize: whole('BACKUP'),
    restoreSize: whole('RESTORE'),
    biggestFile: whole('BIGGEST_FILE'),
    elapsed,
    majorVersion: whole('MAJOR_VERSION'),
    minorVersion: whole('MINOR_VERSION'),
    keep: text('KEEP') === '1',
    compression: whole('COMPRESSION'),
    encryption: whole('ENCRYPTION'),
    tablespaces: readTablespaces(values, whole('TABLESPACES'), source),
    startLsn: lsn(text('START_WALPOS')),
    endLsn: lsn(text('END_WALPOS')),
    checkpointLsn: lsn(text('CHKPT_WALPOS')),
    startTimeline: whole('START_TIMELINE'),
    endTimeline: whole('END_TIMELINE'),
    incremental: text('TYPE') === '1',
    parent: text('PARENT'),
    comments: text('COMMENTS'),
    extra: text('EXTRA'),
  };
}

function lsn(text: string): string {
  return /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(text) ? text : '0/0';
}

function readTablespaces(values: ReadonlyMap<string, string>, count: number, source: string): TablespaceInfo[] {
  if (count > TABLESPACE_LIMIT) {
    throw new PgmonetaError('REPOSITORY_DAMAGED', `${source}: TABLESPACES=${count} is more than ${TABLESPACE_LIMIT}`);
  }
  const tablespaces: TablespaceInfo[] = [];
  for (let index = 1; index <= count; index++) {
    const directory = values.get(`TABLESPACE${index}`);
    const oid = values.get(`TABLESPACE_OID${index}`);
    if (directory === undefined || oid === undefined) {
      throw new PgmonetaError(
        'REPOSITORY_DAMAGED',
        `${source}: TABLESPACES=${count}, but TABLESPACE${index} is missing`,
      );
    }
    if (
      directory === '' ||
      directory.includes('/') ||
      directory === '.' ||
      directory === '..' ||
      !/^\d{1,10}$/.test(oid)
    ) {
      throw new PgmonetaError(
        'REPOSITORY_DAMAGED',
        `${source}: TABLESPACE${index}=${directory.slice(0, 80)} (OID ${oid.slice(0, 20)}) is not usable`,
      );
    }
    tablespaces.push({ directory, oid, path: values.get(`TABLESPACE_PATH${index}`) ?? '' });
  }
  return tablespaces;
}
