import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { PgmonetaError } from '../../src/errors/index.js';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}, 240_000);

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgmoneta-unit-'));
  directories.push(directory);
  return directory;
}

/** Expects a refusal with a code and a text in its message; hands the error on. */
export async function refusal(work: () => unknown, code: string, text: RegExp): Promise<PgmonetaError> {
  let caught: unknown;
  try {
    await work();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(PgmonetaError);
  expect((caught as PgmonetaError).message).toMatch(text);
  expect((caught as PgmonetaError).code).toBe(code);
  return caught as PgmonetaError;
}
