import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_TABLE } from '../../../src/errors/index.js';
import { SSL_MODES } from '../../../src/postgres/options.js';

const manual = readFileSync(new URL('../../../docs/postgresql.md', import.meta.url), 'utf8');

it('the manual explains every error of the connection', () => {
  const codes = Object.keys(ERROR_TABLE).filter((code) => code.startsWith('POSTGRES_') && code !== 'POSTGRES_QUERY');
  expect(codes.length).toBeGreaterThan(15);
  expect(codes.filter((code) => !manual.includes(`\`${code}\``))).toEqual([]);
});

it('the manual explains every sslmode', () => {
  expect(SSL_MODES.filter((mode) => !manual.includes(`| \`${mode}\` |`))).toEqual([]);
});
