import { PgmonetaError } from '../errors/index.js';

function refuseNul(text: string, what: string): void {
  if (text.includes('\0')) {
    throw new PgmonetaError('POSTGRES_QUERY', `a ${what} for PostgreSQL has a NUL byte in it`, {
      hint: 'PostgreSQL cannot store NUL bytes in text; correct the name or value',
    });
  }
}

/**
 * A text as an SQL literal that is safe whatever `standard_conforming_strings` says.
 * @example quoteLiteral("o'clock") // 'o''clock'
 * @throws PgmonetaError POSTGRES_QUERY for a NUL byte
 */
export function quoteLiteral(text: string): string {
  refuseNul(text, 'literal');
  const doubled = text.replaceAll("'", "''");
  return text.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/**
 * A text as an SQL identifier, always in double quotes.
 * @example quoteIdentifier('my slot') // "my slot"
 * @throws PgmonetaError POSTGRES_QUERY for a NUL byte or an empty name
 */
export function quoteIdentifier(text: string): string {
  refuseNul(text, 'name');
  if (text === '') throw new PgmonetaError('POSTGRES_QUERY', 'a name for PostgreSQL is empty');
  return `"${text.replaceAll('"', '""')}"`;
}

/**
 * A text as a literal of the replication grammar, which has doubled quotes but no escapes:
 * a backslash stands for itself.
 * @throws PgmonetaError POSTGRES_QUERY for a NUL byte
 */
export function quoteReplicationLiteral(text: string): string {
  refuseNul(text, 'literal');
  return `'${text.replaceAll("'", "''")}'`;
}
