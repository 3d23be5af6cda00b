import { historyName, isSegmentName, type SegmentName, segmentName, type TimelineId } from '../postgres/types.js';
import type { CodecName } from '../repository/codes.js';

/** A file of `wal/` that holds one segment of WAL, whole or not. */
export interface StoredSegmentName {
  readonly kind: 'segment';
  /** The 24 digits, without suffixes. */
  readonly segment: SegmentName;
  readonly timeline: TimelineId;
  /** Count of segments since LSN 0. */
  readonly number: bigint;
  readonly codec: CodecName;
  /** Whether the file is encrypted. */
  readonly sealed: boolean;
  /** Whether the segment is being received, or was when its timeline ended. */
  readonly partial: boolean;
}

/** What a name in `wal/` says. `other`: temporary files, `backup_label`, strays; nobody's business. */
export type StoredName =
  | StoredSegmentName
  | { readonly kind: 'history'; readonly timeline: TimelineId }
  | { readonly kind: 'other' };

/** Suffixes of repository.md, in the words of pgmoneta 0.21. */
const SUFFIXES: Readonly<Record<CodecName, string>> = {
  none: '',
  gzip: '.gz',
  zstd: '.zstd',
  lz4: '.lz4',
  bzip2: '.bz2',
};
const CODECS: ReadonlyMap<string, CodecName> = new Map(
  Object.entries(SUFFIXES).map(([codec, suffix]) => [suffix, codec as CodecName]),
);

const SEALED = '.aes';
const PARTIAL = '.partial';
const DIGITS = 24;
/** 0.21 writes the digits in lower case, PostgreSQL in upper case. */
const HISTORY = /^(?:[0-9A-F]{8}|[0-9a-f]{8})\.history$/;
const HISTORY_LENGTH = 16;
const OTHER: StoredName = { kind: 'other' };

/**
 * Reads the name of a file in `wal/`. A segment number that cannot be with this segment size is `other`.
 * @param segmentSize bytes per segment
 */
export function parseStoredName(name: string, segmentSize: number): StoredName {
  if (name.length === HISTORY_LENGTH && HISTORY.test(name)) {
    const timeline = Number.parseInt(name.slice(0, 8), 16);
    return timeline === 0 ? OTHER : { kind: 'history', timeline: timeline as TimelineId };
  }
  const segment = name.slice(0, DIGITS);
  if (!isSegmentName(segment)) return OTHER;
  const suffix = name.slice(DIGITS);
  const partial = suffix === PARTIAL;
  const sealed = suffix.endsWith(SEALED);
  const codec = partial ? 'none' : CODECS.get(sealed ? suffix.slice(0, -SEALED.length) : suffix);
  if (codec === undefined) return OTHER;
  // A count of segments is below 2^44, so that plain numbers are exact; tens of thousands of names are read at a time.
  const timeline = Number.parseInt(segment.slice(0, 8), 16);
  const low = Number.parseInt(segment.slice(16), 16);
  const perId = 2 ** 32 / segmentSize;
  if (timeline === 0 || low >= perId) return OTHER;
  const number = BigInt(Number.parseInt(segment.slice(8, 16), 16) * perId + low);
  return { kind: 'segment', segment, timeline: timeline as TimelineId, number, codec, sealed, partial };
}

/** Whether a text is the name of a segment file for some size of segments, suffixes included. */
export function looksLikeSegment(name: string): boolean {
  return /^[0-9A-F]{24}(\.partial|(\.gz|\.zstd|\.lz4|\.bz2)?(\.aes)?)$/.test(name);
}

/** How a segment is stored, without the names. */
export type StoredForm = Pick<StoredSegmentName, 'codec' | 'sealed' | 'partial'>;

/** Name of the file for a segment in a form. A partial segment is always plain. @param segmentSize bytes per segment */
export function storedSegmentName(timeline: number, number: bigint, form: StoredForm, segmentSize: number): string {
  const name = segmentName(timeline, number, segmentSize);
  if (form.partial) return name + PARTIAL;
  return name + SUFFIXES[form.codec] + (form.sealed ? SEALED : '');
}

/** Both names that the history file of a timeline can have: PostgreSQL's first, then that of 0.21. */
export function historyNames(timeline: number): readonly string[] {
  const name = historyName(timeline);
  const lower = name.toLowerCase();
  return lower === name ? [name] : [name, lower];
}
