import { describe, expect, it } from 'vitest';
import { md5Answer } from '../../../src/postgres/authentication.js';
import { parseVersion } from '../../../src/postgres/version.js';

describe('versions', () => {
  it.each([
    ['17.9', 17, 9],
    ['18beta1', 18, 0],
    ['19devel', 19, 0],
    ['15.18 (Debian 15.18-0+deb12u1)', 15, 18],
    ['9.6.24', 9, 6],
  ])('reads %s', (text, major, minor) => {
    expect(parseVersion(text)).toEqual({ major, minor, text });
  });

  it('refuses what is none', () => {
    expect(() => parseVersion('')).toThrow(/not understood/);
  });
});

describe('md5Answer', () => {
  it('hashes twice, as pg_authid and the protocol have it', () => {
    // md5(md5('secret' || 'bob') || '\x01020304'), computed with PostgreSQL's own md5().
    expect(md5Answer('bob', 'secret', Buffer.from([1, 2, 3, 4]))).toBe('md5f21dfe33ff3a9e03dbc3e008251fe5cc');
  });
});
