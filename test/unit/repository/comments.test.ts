import { describe, expect, it } from 'vitest';
import { readComments, writeComments } from '../../../src/repository/comments.js';
import { seeded } from '../../support/random.mjs';
import { refusal } from '../temporary.js';

const through = (entries: [string, string][]): [string, string][] => [...readComments(writeComments(new Map(entries)))];

describe('comments', () => {
  it('look as 0.21 writes them when there is nothing special in them', () => {
    expect(
      writeComments(
        new Map([
          ['reason', 'before the upgrade'],
          ['by', 'ünïcode'],
        ]),
      ),
    ).toBe('reason|before the upgrade,by|ünïcode');
    expect([...readComments('reason|before the upgrade,by|x')]).toEqual([
      ['reason', 'before the upgrade'],
      ['by', 'x'],
    ]);
    expect([...readComments('')]).toEqual([]);
  });

  it('read what 0.21 leaves behind after an update and a removal', () => {
    expect([...readComments('a|1,,b|2')]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
    expect([...readComments('key|')]).toEqual([['key', '']]);
    expect([...readComments('lonely')]).toEqual([['lonely', '']]);
    expect([...readComments('a|1,a|2')]).toEqual([['a', '2']]);
  });

  it('leave percent signs that are no escape alone', () => {
    expect([...readComments('disk|50% full,code|%41%zz')]).toEqual([
      ['disk', '50% full'],
      ['code', '%41%zz'],
    ]);
    expect(writeComments(new Map([['disk', '50% full']]))).toBe('disk|50% full');
  });

  it('hold what separates, and line breaks, as text that 0.21 keeps', () => {
    const text = writeComments(new Map([['a,b|c=d', 'line one\nline two\r, 100%2C=']]));
    expect(text).toBe('a%2Cb%7Cc%3Dd|line one%0Aline two%0D%2C 100%252C%3D');
    expect(text).not.toMatch(/[\n\r\0=]/);
    expect([...readComments(text)]).toEqual([['a,b|c=d', 'line one\nline two\r, 100%2C=']]);
  });

  it('come back as they were, whatever they hold', () => {
    const random = seeded('comments');
    const alphabet = [
      '%',
      ',',
      '|',
      '=',
      '\n',
      '\r',
      '\0',
      '\t',
      '2',
      'C',
      '7',
      '5',
      '0',
      'A',
      'F',
      'D',
      'ß',
      '😀',
      "'",
      '"',
      '\\',
      ' ',
      '\u007f',
    ];
    const word = (length: number): string =>
      Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
    for (let round = 0; round < 5000; round++) {
      const entries = new Map([
        [`k${word(3)}`, word(12)],
        [word(5) || 'x', word(1)],
        ['plain', word(6)],
      ]);
      expect(through([...entries])).toEqual([...entries]);
    }
  });

  it('are refused when they are too long for 0.21, and cut off never', async () => {
    expect(through([['k', 'v'.repeat(2045)]])[0]?.[1]).toHaveLength(2045);
    await refusal(() => writeComments(new Map([['k', 'v'.repeat(2046)]])), 'ANNOTATE_FAILED', /2048 bytes.*2047/);
    await refusal(() => writeComments(new Map([['k', 'ü'.repeat(1023)]])), 'ANNOTATE_FAILED', /2048 bytes/);
  });

  it('replace half a character by the sign for it', () => {
    expect(through([['k', 'a\ud800b']])).toEqual([['k', 'a\ufffdb']]);
  });
});
