import { describe, expect, it } from 'vitest';
import { historyNames, looksLikeSegment, parseStoredName, storedSegmentName } from '../../../src/wal/stored-name.js';

const MIB = 1024 * 1024;
const NAME = '0000000A0000000300000021';

describe('names in wal/', () => {
  it.each([
    ['', 'none', false, false],
    ['.partial', 'none', false, true],
    ['.gz', 'gzip', false, false],
    ['.zstd', 'zstd', false, false],
    ['.lz4', 'lz4', false, false],
    ['.bz2', 'bzip2', false, false],
    ['.aes', 'none', true, false],
    ['.gz.aes', 'gzip', true, false],
    ['.zstd.aes', 'zstd', true, false],
    ['.lz4.aes', 'lz4', true, false],
    ['.bz2.aes', 'bzip2', true, false],
  ] as const)('reads the suffix "%s", and writes it back', (suffix, codec, sealed, partial) => {
    const stored = parseStoredName(NAME + suffix, 16 * MIB);
    expect(stored).toEqual({
      kind: 'segment',
      segment: NAME,
      timeline: 10,
      number: 3n * 256n + 0x21n,
      codec,
      sealed,
      partial,
    });
    if (stored.kind !== 'segment') throw new Error('no segment');
    expect(storedSegmentName(stored.timeline, stored.number, stored, 16 * MIB)).toBe(NAME + suffix);
    expect(looksLikeSegment(NAME + suffix)).toBe(true);
  });

  it('takes the number with the size of segments', () => {
    expect(parseStoredName('000000010000000100000FFF', MIB)).toMatchObject({ number: 4096n + 0xfffn });
    expect(parseStoredName('000000010000000100000003', 1024 * MIB)).toMatchObject({ number: 7n });
    expect(parseStoredName('000000010000000100000004', 1024 * MIB)).toEqual({ kind: 'other' });
    expect(parseStoredName('000000010000000000000100', 16 * MIB)).toEqual({ kind: 'other' });
    expect(looksLikeSegment('000000010000000000000100')).toBe(true);
  });

  it('reads history names in both cases, not in a mixture', () => {
    expect(parseStoredName('0000000A.history', 16 * MIB)).toEqual({ kind: 'history', timeline: 10 });
    expect(parseStoredName('0000000a.history', 16 * MIB)).toEqual({ kind: 'history', timeline: 10 });
    expect(parseStoredName('000000aA.history', 16 * MIB)).toEqual({ kind: 'other' });
    expect(parseStoredName('00000000.history', 16 * MIB)).toEqual({ kind: 'other' });
    expect(historyNames(10)).toEqual(['0000000A.history', '0000000a.history']);
    expect(historyNames(2)).toEqual(['00000002.history']);
  });

  it.each([
    'backup_label',
    `${NAME}.tmp-12-1`,
    `${NAME}.zstd.tmp-12-1`,
    `${NAME}.partial.zstd`,
    `${NAME}.gz.partial`,
    `${NAME}.aes.zstd`,
    `${NAME}.zst`,
    `${NAME}.constructor`,
    `${NAME}..aes`,
    `${NAME}0`,
    NAME.toLowerCase(),
    `${NAME}\n`,
    '000000000000000300000021',
    '0000000A.history.tmp-1-1',
    '',
  ])("%j is nobody's business", (name) => {
    expect(parseStoredName(name, 16 * MIB)).toEqual({ kind: 'other' });
  });
});
