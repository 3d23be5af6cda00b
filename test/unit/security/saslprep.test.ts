import { describe, expect, it } from 'vitest';
import { preparePassword } from '../../../src/security/saslprep.js';

const prepared = (text: string) => preparePassword(text).toString('utf8');

describe('preparePassword', () => {
  it('maps and normalises as RFC 4013 says', () => {
    expect(prepared('I\u00adX')).toBe('IX');
    expect(prepared('\u00aa')).toBe('a');
    expect(prepared('\u2168')).toBe('IX');
    expect(prepared('a\u00a0b')).toBe('a b');
    expect(prepared('\ufb01\uff21')).toBe('fiA');
    expect(prepared('u\u0308')).toBe('ü');
  });

  it('leaves ASCII alone, also what RFC 4013 prohibits', () => {
    expect(prepared('USER')).toBe('USER');
    expect(prepared('a\u0007b')).toBe('a\u0007b');
    expect(prepared('')).toBe('');
  });

  it('takes the bytes as they are where the text is not valid', () => {
    for (const text of ['ü\u0007', '\u0627\u0031', 'a\u0627', '\u00ad', '\u0221x', '\ue000ü']) {
      expect(prepared(text), JSON.stringify(text)).toBe(text);
    }
  });
});
