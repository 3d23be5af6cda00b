import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Log } from '../../../src/daemon/log.js';
import { sweepRepository } from '../../../src/daemon/sweep.js';
import { makeDirectories } from '../../../src/repository/directories.js';
import { serverPaths } from '../../../src/repository/paths.js';

const log = { warn: () => {}, error: () => {} } as unknown as Log;

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'pgmoneta-sweep-'));
});
afterEach(() => rm(base, { recursive: true }));

test('half written notes of a killed daemon go, the notes and what is somebody else stay', async () => {
  const paths = serverPaths(base, 'primary');
  await makeDirectories(paths.root);
  for (const path of [paths.mode, paths.verified, paths.hotStandbys]) {
    await writeFile(path, 'whole');
    await writeFile(`${path}.tmp-4711-0`, 'hal');
  }
  const notes = join(paths.root, 'notes.tmp-1-1');
  await writeFile(notes, 'of the DBA');

  await sweepRepository(base, ['primary'], log);

  expect((await readdir(paths.root)).filter((name) => name.includes('.tmp-'))).toEqual(['notes.tmp-1-1']);
  for (const path of [paths.mode, paths.verified, paths.hotStandbys])
    expect(await readFile(path, 'utf8')).toBe('whole');
});
