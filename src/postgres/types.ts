/** The words of PostgreSQL as types: what must not be mixed up has a type of its own. */
export { addLsn, compareLsn, formatLsn, isLsn, type Lsn, parseLsn, toLsn, ZERO_LSN } from './lsn.js';
export {
  historyName,
  isSegmentName,
  isSegmentSize,
  parseSegmentName,
  type SegmentName,
  type SegmentParts,
  segmentName,
  segmentNumber,
  segmentOf,
  segmentOffset,
  segmentStart,
  type TimelineId,
  toTimeline,
} from './segment.js';

declare const labelBrand: unique symbol;

/** Label of a backup: local time of its start, `YYYYMMDDHHMMSS`. */
export type BackupLabel = string & { readonly [labelBrand]: true };

/** Whether a text has the form of a backup label. */
export function isLabel(text: string): text is BackupLabel {
  return /^[0-9]{14}$/.test(text);
}
