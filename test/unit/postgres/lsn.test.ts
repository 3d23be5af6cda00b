import { describe, expect, it } from 'vitest';
import { addLsn, compareLsn, formatLsn, isLsn, parseLsn, toLsn } from '../../../src/postgres/types.js';

describe('WAL positions', () => {
  it.each([
    ['0/0', 0n],
    ['0/2000028', 0x2000028n],
    ['1/0', 0x100000000n],
    ['16/B374D848', 0x16b374d848n],
    ['FFFFFFFF/FFFFFFFF', 0xffffffffffffffffn],
  ])('reads and writes %s', (text, value) => {
    expect(parseLsn(text)).toBe(value);
    expect(formatLsn(value)).toBe(text);
  });

  it('reads lower case and leading zeros, and writes PostgreSQL form', () => {
    expect(formatLsn(parseLsn('00000001/0abcdef0'))).toBe('1/ABCDEF0');
  });

  it.each(['', '0', '0/', '/0', '0/123456789', '0/G', ' 0/0', '0/0 ', '-1/0', '0x1/0'])('refuses %j', (text) => {
    expect(isLsn(text)).toBe(false);
    expect(() => parseLsn(text)).toThrow(/is not a WAL position/);
  });

  it('keeps to 64 bits', () => {
    expect(() => toLsn(1n << 64n)).toThrow(/outside of the range/);
    expect(() => addLsn(0n, -1)).toThrow(/outside of the range/);
    expect(addLsn(parseLsn('0/FFFFFFFF'), 1)).toBe(parseLsn('1/0'));
  });

  it('orders', () => {
    expect([parseLsn('1/0'), parseLsn('0/FFFFFFFF'), parseLsn('0/1')].sort(compareLsn).map(formatLsn)).toEqual([
      '0/1',
      '0/FFFFFFFF',
      '1/0',
    ]);
    expect(compareLsn(5n, 5n)).toBe(0);
  });
});
