import { PgmonetaError } from '../errors/index.js';
import { type Lsn, toLsn } from './lsn.js';

declare const timelineBrand: unique symbol;
declare const segmentBrand: unique symbol;

/** Number of a timeline, 1 to 2^32-1. */
export type TimelineId = number & { readonly [timelineBrand]: true };

/** Name of a WAL segment file: 24 upper case hexadecimal digits (timeline, then 16 of the segment number). */
export type SegmentName = string & { readonly [segmentBrand]: true };

/** What a segment's name says. */
export interface SegmentParts {
  readonly timeline: TimelineId;
  /** Count of segments since LSN 0. */
  readonly number: bigint;
}

const NAME = /^[0-9A-F]{24}$/;
const MEGABYTE = 1024 * 1024;

/** Number or decimal text as a timeline. @throws PgmonetaError POSTGRES_PROTOCOL when it is none */
export function toTimeline(value: number | string): TimelineId {
  const number = typeof value === 'number' ? value : /^[0-9]{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isInteger(number) || number < 1 || number > 0xffffffff) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `"${value}" is not a timeline`, {
      hint: 'timelines are whole numbers from 1 on',
    });
  }
  return number as TimelineId;
}

/** Whether a text is a plain segment name (no suffix). */
export function isSegmentName(text: string): text is SegmentName {
  return NAME.test(text);
}

/** Whether a size is one that initdb accepts: a power of two, 1 MiB to 1 GiB. */
export function isSegmentSize(bytes: number): boolean {
  return bytes >= MEGABYTE && bytes <= 1024 * MEGABYTE && Number.isInteger(Math.log2(bytes));
}

function perId(segmentSize: number): bigint {
  if (!isSegmentSize(segmentSize)) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `${segmentSize} bytes is not a size that WAL segments can have`, {
      hint: 'wal_segment_size is a power of two from 1 MB to 1 GB',
    });
  }
  return 0x100000000n / BigInt(segmentSize);
}

/** Name of segment `number` on a timeline. @param segmentSize bytes per segment */
export function segmentName(timeline: number, number: bigint, segmentSize: number): SegmentName {
  const ids = perId(segmentSize);
  const hex = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0');
  return `${hex(BigInt(timeline))}${hex(number / ids)}${hex(number % ids)}` as SegmentName;
}

/**
 * Takes a segment's name apart.
 * @param segmentSize bytes per segment
 * @throws PgmonetaError POSTGRES_PROTOCOL when it is no segment name of that size
 */
export function parseSegmentName(name: string, segmentSize: number): SegmentParts {
  const ids = perId(segmentSize);
  const low = isSegmentName(name) ? BigInt(`0x${name.slice(16)}`) : ids;
  if (low >= ids) {
    throw new PgmonetaError('POSTGRES_PROTOCOL', `"${name}" is not the name of a WAL segment of ${segmentSize} bytes`);
  }
  const timeline = toTimeline(Number.parseInt(name.slice(0, 8), 16));
  return { timeline, number: BigInt(`0x${name.slice(8, 16)}`) * ids + low };
}

/** Number of the segment that holds the byte at `lsn`. */
export function segmentNumber(lsn: bigint, segmentSize: number): bigint {
  return lsn / BigInt(segmentSize);
}

/** First byte of segment `number`. */
export function segmentStart(number: bigint, segmentSize: number): Lsn {
  return toLsn(number * BigInt(segmentSize));
}

/** Offset of `lsn` within its segment, in bytes. */
export function segmentOffset(lsn: bigint, segmentSize: number): number {
  return Number(lsn % BigInt(segmentSize));
}

/** Name of the segment that holds the byte at `lsn`. */
export function segmentOf(timeline: number, lsn: bigint, segmentSize: number): SegmentName {
  return segmentName(timeline, segmentNumber(lsn, segmentSize), segmentSize);
}

/** Name of a timeline's history file: `00000002.history`. */
export function historyName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}
