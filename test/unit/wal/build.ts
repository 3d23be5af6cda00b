import { type Lsn, parseLsn, type TimelineId } from '../../../src/postgres/types.js';
import { arrangeArchive, type WalArchive } from '../../../src/wal/archive.js';
import type { PartialEnd } from '../../../src/wal/coverage.js';

export const MIB = 1024 * 1024;
export const tli = (number: number) => number as TimelineId;
export const lsn = (text: string) => parseLsn(text) as Lsn;

/** Name of a segment of 1 MiB. */
export function name(timeline: number, number: number, suffix = ''): string {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0');
  return `${hex(timeline)}${hex(Math.floor(number / 4096))}${hex(number % 4096)}${suffix}`;
}

/** Names of the segments `first` to `last`. */
export function range(timeline: number, first: number, last: number, suffix = ''): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => name(timeline, first + index, suffix));
}

/** An archive with segments of 1 MiB. @param histories content of the history files, by name */
export function archiveOf(names: readonly string[], histories: Record<string, string> = {}, size = MIB): WalArchive {
  return arrangeArchive('/wal', size, [...names, ...Object.keys(histories)], new Map(Object.entries(histories)));
}

/** A receiver that has made everything up to `text` durable. */
export function durable(text: string): PartialEnd {
  const end = lsn(text);
  return (partial) => (end >= partial.begin ? end : undefined);
}
