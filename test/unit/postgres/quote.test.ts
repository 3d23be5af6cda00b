import { describe, expect, it } from 'vitest';
import { quoteIdentifier, quoteLiteral, quoteReplicationLiteral } from '../../../src/postgres/quote.js';

describe('quoting', () => {
  it('makes literals', () => {
    expect(quoteLiteral('plain')).toBe("'plain'");
    expect(quoteLiteral("o'clock")).toBe("'o''clock'");
    expect(quoteLiteral('a\\b')).toBe(" E'a\\\\b'");
    expect(quoteLiteral("\\'; DROP TABLE t; --")).toBe(" E'\\\\''; DROP TABLE t; --'");
    expect(quoteLiteral('')).toBe("''");
  });

  it('makes identifiers', () => {
    expect(quoteIdentifier('my slot')).toBe('"my slot"');
    expect(quoteIdentifier('a"b')).toBe('"a""b"');
    expect(() => quoteIdentifier('')).toThrow(/is empty/);
  });

  it('makes literals of the replication grammar, which has no escapes', () => {
    expect(quoteReplicationLiteral("it's a \\ label")).toBe("'it''s a \\ label'");
  });

  it('refuses NUL bytes, which would end the statement', () => {
    for (const quote of [quoteLiteral, quoteIdentifier, quoteReplicationLiteral]) {
      expect(() => quote('a\0b')).toThrow(/NUL byte/);
    }
  });
});
