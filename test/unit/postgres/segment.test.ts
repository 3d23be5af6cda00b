import { describe, expect, it } from 'vitest';
import {
  formatLsn,
  historyName,
  isLabel,
  isSegmentName,
  isSegmentSize,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentNumber,
  segmentOf,
  segmentOffset,
  segmentStart,
  toTimeline,
} from '../../../src/postgres/types.js';

const MB = 1024 * 1024;

describe('WAL segments', () => {
  // Left: what pg_walfile_name() of a server with that segment size answers.
  it.each([
    ['000000010000000000000002', 1, '0/2000028', 16 * MB],
    ['0000000100000001000000FF', 1, '1/FF000000', 16 * MB],
    ['0000000200000001000000FF', 2, '1/FFFFFFFF', 16 * MB],
    ['000000010000000200000000', 1, '2/0', 16 * MB],
    ['000000010000000000000FFF', 1, '0/FFFFFFFF', MB],
    ['000000010000000100000003', 1, '1/C0000000', 1024 * MB],
    ['0000000A0000000100000002', 10, '1/8123456', 64 * MB],
  ])('%s is on timeline %i at %s (segments of %i bytes)', (name, timeline, lsn, size) => {
    expect(segmentOf(timeline, parseLsn(lsn), size)).toBe(name);
    const parts = parseSegmentName(name, size);
    expect(parts.timeline).toBe(timeline);
    expect(parts.number).toBe(segmentNumber(parseLsn(lsn), size));
  });

  it('computes start and offset', () => {
    const lsn = parseLsn('1/FF000028');
    expect(formatLsn(segmentStart(segmentNumber(lsn, 16 * MB), 16 * MB))).toBe('1/FF000000');
    expect(segmentOffset(lsn, 16 * MB)).toBe(0x28);
  });

  it('goes through the end of a log id', () => {
    expect(segmentName(1, 0xffn, 16 * MB)).toBe('0000000100000000000000FF');
    expect(segmentName(1, 0x100n, 16 * MB)).toBe('000000010000000100000000');
  });

  it('refuses names that a segment size cannot have', () => {
    expect(() => parseSegmentName('000000010000000000000100', 16 * MB)).toThrow(/is not the name of a WAL segment/);
    expect(() => parseSegmentName('000000010000000000000002.partial', 16 * MB)).toThrow(/is not the name/);
    expect(() => parseSegmentName('00000001000000000000000g', 16 * MB)).toThrow(/is not the name/);
    expect(() => parseSegmentName('000000000000000000000001', 16 * MB)).toThrow(/is not a timeline/);
    expect(isSegmentName('00000001000000000000000a')).toBe(false);
  });

  it('knows the sizes of initdb', () => {
    expect([MB, 16 * MB, 1024 * MB].every(isSegmentSize)).toBe(true);
    expect([0, 1, MB / 2, 3 * MB, 2048 * MB, Number.NaN].some(isSegmentSize)).toBe(false);
    expect(() => segmentName(1, 1n, 3 * MB)).toThrow(/not a size that WAL segments can have/);
  });

  it('reads timelines and names their history', () => {
    expect(toTimeline('4294967295')).toBe(4294967295);
    for (const bad of ['0', '', '-1', '1.5', '4294967296', 'x', 0, 1.5]) expect(() => toTimeline(bad)).toThrow();
    expect(historyName(0x1b)).toBe('0000001B.history');
  });

  it('knows labels', () => {
    expect(isLabel('20260102030405')).toBe(true);
    expect(isLabel('2026010203040')).toBe(false);
    expect(isLabel('2026010203040x')).toBe(false);
  });
});
