import { describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import { Real, readJson, writeJson } from '../../../src/management/json/index.js';

describe('writing the dialect', () => {
  it('sorts keys by bytes at every level, upper case first', () => {
    expect(writeJson({ b: 1, Z: { y: 1, X: 2 }, a: 3 })).toBe('{"Z":{"X":2,"y":1},"a":3,"b":1}');
  });

  it('orders characters outside the basic plane after all others, as UTF-8 does', () => {
    expect(writeJson({ '\u{1f600}': 1, '\uffee': 2 })).toBe('{"\uffee":2,"\u{1f600}":1}');
  });

  it('writes null for empty strings and {} for empty arrays and objects', () => {
    expect(writeJson({ A: '', B: [], C: {}, D: null })).toBe('{"A":null,"B":{},"C":{},"D":null}');
  });

  it('knows five escapes, and leaves apostrophes and other text alone', () => {
    expect(writeJson({ A: `a"b\\c\nd\te\rf'g/hé\u0001` })).toBe(`{"A":"a\\"b\\\\c\\nd\\te\\rf'g/hé\u0001"}`);
  });

  it('replaces a zero byte, which would end the string for a C reader', () => {
    expect(writeJson({ A: 'a\0b' })).toBe('{"A":"a\ufffdb"}');
    expect(writeJson({ 'R\0': 1, Re: 2 })).toBe('{"Re":2,"R\ufffd":1}');
  });

  it('writes reals with six decimals and integers with none', () => {
    expect(writeJson({ A: new Real(0), B: 1.5, C: 9007199254740993n, D: 12, E: new Real(Number.NaN) })).toBe(
      '{"A":0.000000,"B":1.500000,"C":9007199254740993,"D":12,"E":0.000000}',
    );
  });

  it('leaves out keys that are undefined or empty', () => {
    expect(writeJson({ '': 1, A: undefined as unknown as null, B: true })).toBe('{"B":true}');
  });
});

describe('reading the dialect', () => {
  it("accepts what 0.21 writes: \\' and a leading +", () => {
    expect(readJson(`{"Comment":"it\\'s","N":+5}`)).toEqual({ Comment: "it's", N: 5 });
  });

  it('accepts blanks inside, standard escapes, arrays and bytes after the end', () => {
    expect(readJson('{ "a" : [ 1 , -2 , "\\u00e9\\/" ] , "b" : { } }garbage')).toEqual({ a: [1, -2, 'é/'], b: {} });
  });

  it('keeps reals apart from integers, and integers of 64 bits exact', () => {
    const read = readJson(
      '{"r":1.0,"big":9223372036854775807,"over":99999999999999999999,"under":-99999999999999999999}',
    );
    expect(read.r).toEqual(new Real(1));
    expect(read.big).toBe(9223372036854775807n);
    expect(read.over).toBe(9223372036854775807n);
    expect(read.under).toBe(-9223372036854775808n);
  });

  it('takes the last of repeated keys, and __proto__ as a key like any other', () => {
    const read = readJson('{"a":1,"a":2,"__proto__":{"x":1}}');
    expect(read.a).toBe(2);
    expect(Object.keys(read)).toContain('__proto__');
    expect((read as { x?: number }).x).toBeUndefined();
  });

  it.each([
    '',
    ' {}',
    '[]',
    '{',
    '{"a"}',
    '{"a":}',
    '{"a":1,}x',
    '{"a":"unclosed',
    '{"":1}',
    '{"a":tru}',
    '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{a:1}',
    '{"a":1 "b":2}',
    '{"a":.5}',
    `{"a":${'['.repeat(100)}`,
  ])('refuses %j with the position', (text) => {
    expect(() => readJson(text)).toThrow(PgmonetaError);
    expect(() => readJson(text)).toThrow(/damaged at character \d+/);
  });

  it('reads back what it writes', () => {
    const document = { A: [{ B: 'x\n' }, { C: -1 }], D: new Real(2.25), E: false, F: null };
    expect(readJson(writeJson(document))).toEqual(document);
  });
});
