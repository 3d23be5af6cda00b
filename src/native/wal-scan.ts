import { type JobControl, type NativeJob, runJob } from './job.js';
import { loadAddon } from './load.js';

/**
 * What stored segments belong to, and what opens them. Every LSN here is text of the form `%X/%X`, every time a number
 * of microseconds since 1970-01-01 00:00 UTC.
 */
export interface WalFacts {
  /** Bytes of a segment. */
  readonly segmentSize: number;
  /** Decimal. WAL of another system is refused; absent takes any. */
  readonly systemIdentifier?: string | undefined;
  /** The 64 bytes derived from the master key; needed for encrypted segments. */
  readonly masterSecret?: Buffer | undefined;
}

/** A recovery target; `inclusive` means what `recovery_target_inclusive` does, and nothing for names. */
export type WalTarget =
  | { readonly name: string }
  | { readonly xid: number; readonly inclusive: boolean }
  | { readonly time: number; readonly inclusive: boolean }
  | { readonly lsn: string; readonly inclusive: boolean };

/** What is scanned. */
export interface ScanOptions extends WalFacts {
  /**
   * Paths in order of timeline and number, without a hole; their names (`<24 hex><suffixes>`, `.partial`) tell what they
   * are. Of two segments with the same number only the one of the newer timeline is read, as PostgreSQL does.
   */
  readonly segments: readonly string[];
  /** Records from here on count; lies in the first segment. */
  readonly start: string;
  /** The scan ends where a recovery to it would. */
  readonly target?: WalTarget | undefined;
  /** Threads that read and decode ahead, 1 to 256; 2 when absent. */
  readonly workers?: number | undefined;
}

/** A commit in the WAL. */
export interface WalCommit {
  /** Begin and end of its record. */
  readonly lsn: string;
  readonly end: string;
  readonly xid: number;
  readonly time: number;
}

/** A restore point in the WAL. */
export interface WalRestorePoint {
  readonly name: string;
  readonly time: number;
  /** Begin and end of its record; the end is what `pg_create_restore_point` gave. */
  readonly lsn: string;
  readonly end: string;
}

/** Where a recovery stops. */
export interface WalStop {
  /** The record that it stops at, and whether that one is still replayed. */
  readonly lsn: string;
  readonly replayed: boolean;
  /** End of what is replayed. */
  readonly end: string;
  readonly timeline: number;
  /** Time and transaction of that record; not told for a target that is an LSN. */
  readonly time?: number | undefined;
  readonly xid?: number | undefined;
}

/**
 * Why a scan ended: at the target; after good WAL to the last byte (`whole`); where the last segment was not written any
 * further (`end-of-wal`); or before the end, because of what `message` says: what follows there cannot be recovered.
 */
export interface WalEnding {
  readonly kind: 'target' | 'whole' | 'end-of-wal' | 'damaged';
  readonly at: string;
  readonly path?: string | undefined;
  readonly message: string;
}

/** What a scan found. */
export interface ScanReport {
  /** End of the last good record: a recovery of all this ends here. The start when there was none. */
  readonly end: string;
  readonly timeline: number;
  readonly records: number;
  readonly commits: number;
  readonly aborts: number;
  readonly firstCommit?: WalCommit | undefined;
  /** The last in the WAL; its time need not be the latest. */
  readonly lastCommit?: WalCommit | undefined;
  /** The newest 1000, oldest first. */
  readonly restorePoints: readonly WalRestorePoint[];
  /** All that there are. */
  readonly restorePointCount: number;
  readonly majorVersion?: number | undefined;
  readonly systemIdentifier?: string | undefined;
  readonly ending: WalEnding;
  /** Absent when the target was not reached, or none was given. */
  readonly stop?: WalStop | undefined;
}

/** A record of the WAL. */
export interface WalRecord {
  readonly lsn: string;
  readonly end: string;
  readonly prev: string;
  readonly xid: number;
  readonly resourceManager: number;
  readonly info: number;
  /** Bytes of all of it, and of its main data. */
  readonly size: number;
  readonly mainSize: number;
  /** `relation` is `tablespace/database/relation`; `image`: it brings the page itself. */
  readonly blocks: readonly {
    readonly relation: string;
    readonly fork: number;
    readonly block: number;
    readonly image: boolean;
  }[];
}

/** One segment to be copied. */
export interface SegmentCopy {
  /** As it is stored. */
  readonly source: string;
  /** Full path of the plain segment; a file of that name is replaced. */
  readonly target: string;
  readonly timeline: number;
  /** First byte of the segment, or any other one of it. */
  readonly start: string;
  /** It was not completed: filled up with zeros, behind the end of its WAL too. */
  readonly pad: boolean;
}

/** What a copy made. */
export interface CopiedSegment {
  /** Of a padded one: where its WAL ends. */
  readonly end?: string | undefined;
  /** False when nothing was ever received into it: no file was made. */
  readonly written: boolean;
}

/** What a stored segment is worth. */
export interface SegmentProof {
  readonly timeline: number;
  /** Its first byte. */
  readonly start: string;
  /** End of the last record that ends in it, proved by its CRC; `start` when none does. */
  readonly proved: string;
  readonly firstRecord?: string | undefined;
  readonly lastRecord?: string | undefined;
  readonly records: number;
  /** Full size, and good up to its end. */
  readonly whole: boolean;
  /** Why it is not whole. */
  readonly message: string;
  readonly majorVersion?: number | undefined;
  readonly systemIdentifier?: string | undefined;
}

interface WalAddon {
  scanWal(options: object, job: NativeJob): Promise<ScanReport>;
  listWal(options: object, pageSize: number, limit: number, job: NativeJob): Promise<WalRecord[]>;
  copySegments(segments: object[], facts: object, workers: number, job: NativeJob): Promise<CopiedSegment[]>;
  proveSegment(path: string, facts: object, job: NativeJob): Promise<SegmentProof>;
}

const addon = () => loadAddon<WalAddon>();

function factsOf({ segmentSize, systemIdentifier, masterSecret }: WalFacts): object {
  return { segmentSize, systemIdentifier, masterSecret };
}

function orderOf(options: ScanOptions): object {
  const { segments, start, target, workers } = options;
  return {
    segments: [...segments],
    facts: factsOf(options),
    start,
    target: target === undefined ? undefined : { inclusive: true, ...target },
    workers: workers ?? 2,
  };
}

/**
 * Looks through stored WAL: commits, restore points, its end, and where a recovery to a target would stop. Every record
 * is checked as PostgreSQL checks it. Damage is part of the report.
 * @throws PgmonetaError USAGE for segments that are no stretch, a start outside of the first or a missing key; IO;
 * CANCELLED
 */
export function scanWal(options: ScanOptions, control: JobControl = {}): Promise<ScanReport> {
  return runJob(control, (job) => addon().scanWal(orderOf(options), job));
}

/**
 * The records of stored WAL, `limit` (a million at most) of them.
 * @param pageSize bytes of a page of relations
 * @throws PgmonetaError as {@link scanWal}; CORRUPT when a record is not what it says
 */
export function listWal(
  options: ScanOptions & { readonly pageSize: number; readonly limit: number },
  control: JobControl = {},
): Promise<WalRecord[]> {
  return runJob(control, (job) => addon().listWal(orderOf(options), options.pageSize, options.limit, job));
}

/**
 * Brings stored segments into a cluster: plain, of full size, mode 0600, durable. Size and first page are checked;
 * a target has its name only when it is whole. After an error some targets may be there.
 * @param options.workers threads, 1 to 256
 * @throws PgmonetaError CORRUPT when a segment is not what it should be, USAGE, IO, NO_SPACE, CANCELLED
 */
export function copySegments(
  options: WalFacts & { readonly copies: readonly SegmentCopy[]; readonly workers: number },
  control: JobControl = {},
): Promise<CopiedSegment[]> {
  return runJob(control, (job) => addon().copySegments([...options.copies], factsOf(options), options.workers, job));
}

/**
 * Reads one stored segment and says up to where it is proved and whether it is whole. A record that goes on in the next
 * segment, or began in the one before, is proved by {@link scanWal} alone.
 * @throws PgmonetaError USAGE when the name is none or a key is missing, IO, CANCELLED
 */
export function proveSegment(path: string, facts: WalFacts, control: JobControl = {}): Promise<SegmentProof> {
  return runJob(control, (job) => addon().proveSegment(path, factsOf(facts), job));
}
