import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ServerPaths, serverPaths } from '../../../src/repository/paths.js';
import {
  dueForVerification,
  readVerifications,
  rememberVerification,
  type Verification,
} from '../../../src/repository/verifications.js';
import { temporaryDirectory } from '../temporary.js';

const NOW = new Date('2026-11-21T12:00:00Z');
const never = new AbortController().signal;
const [A, B, C, D] = ['20261101000000', '20261102000000', '20261103000000', '20261104000000'] as const;
let paths: ServerPaths;

beforeEach(() => {
  paths = serverPaths(temporaryDirectory(), 'primary');
});

const ago = (seconds: number, more: Partial<Verification> = {}): Verification => ({
  at: new Date(NOW.getTime() - seconds * 1000),
  result: 'good',
  faults: 0,
  message: '',
  healable: true,
  ...more,
});
const remember = (label: string, one: Verification, labels: string[] = [A, B, C, D]) =>
  rememberVerification(paths, label, one, labels, never);

describe('the memory of verifications', () => {
  it('is empty at first, and where its file makes no sense', async () => {
    expect((await readVerifications(paths)).size).toBe(0);
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"Backups": 7}',
      `{"Backups": {"${A}": {"At": "never", "Result": "good"}}}`,
    ]) {
      await remember(A, ago(1));
      writeFileSync(paths.verified, text);
      expect((await readVerifications(paths)).size, text).toBe(0);
    }
  });

  it('comes back as it was, and can be read by people', async () => {
    const bad = ago(10, {
      result: 'damaged',
      faults: 3,
      message: 'base/1/1259: the stored bytes were changed',
      healable: false,
    });
    await remember(A, ago(5));
    await remember(B, bad);
    expect(await readVerifications(paths)).toEqual(
      new Map([
        [A, ago(5)],
        [B, bad],
      ]),
    );
    expect(readFileSync(paths.verified, 'utf8').split('\n')).toHaveLength(6);
    expect(statSync(paths.verified).mode & 0o777).toBe(0o600);
  });

  it('replaces what it knew of a backup, and forgets those that are gone', async () => {
    await remember(A, ago(100));
    await remember(B, ago(90));
    await remember(A, ago(1));
    expect((await readVerifications(paths)).get(A)).toEqual(ago(1));
    await remember(C, ago(0), [B, C]);
    expect([...(await readVerifications(paths)).keys()]).toEqual([B, C]);
  });

  it('loses nothing when two write at once', async () => {
    await Promise.all([A, B, C, D].map((label) => remember(label, ago(1))));
    expect([...(await readVerifications(paths)).keys()].toSorted()).toEqual([A, B, C, D]);
  });
});

describe('it is time to verify', () => {
  const known = (entries: [string, Verification][]) => new Map(entries);

  it('what never was, oldest first, then what is the longest ago', () => {
    const memory = known([
      [A, ago(200)],
      [C, ago(300)],
    ]);
    expect(dueForVerification([A, B, C, D], memory, 100, NOW)).toEqual([B, D, C, A]);
  });

  it('when the interval has passed, to the second', () => {
    const memory = known([
      [A, ago(99)],
      [B, ago(100)],
    ]);
    expect(dueForVerification([A, B], memory, 100, NOW)).toEqual([B]);
  });

  it('what was verified in the future', () => {
    expect(
      dueForVerification(
        [A, B],
        known([
          [A, ago(-5)],
          [B, ago(5)],
        ]),
        100,
        NOW,
      ),
    ).toEqual([A]);
  });

  it('whatever came of it the last time', () => {
    const memory = known([
      [A, ago(50, { result: 'unreadable' })],
      [B, ago(150, { result: 'unreadable' })],
    ]);
    expect(dueForVerification([A, B], memory, 100, NOW)).toEqual([B]);
  });
});
