import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArchive } from '../../../src/wal/archive.js';
import { gaps } from '../../../src/wal/coverage.js';
import type { WalExtent } from '../../../src/wal/extent.js';
import { surveyWal } from '../../../src/wal/survey.js';
import { cpuOfThread, fillWithSegments, LAYING_OUT } from '../long-archive.js';
import { refusal, temporaryDirectory } from '../temporary.js';
import { lsn, MIB, name, tli } from './build.js';

const SUFFIXES = ['', '.partial', '.gz', '.zstd', '.lz4.aes', '.aes', '.bz2', '.tmp-1-2', '.PARTIAL'];
const SEGMENTS = 100_000;

/** Numbers that are the same in every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What both ways of reading a directory have to agree upon. */
function extentOf(extent: WalExtent): unknown {
  const { partials, histories, historyFiles, damaged, misfits } = extent;
  const timelines = [...extent.timelines].map(([timeline, runs]) => [
    timeline,
    runs.map(({ first, last }) => [first, last]),
  ]);
  return { timelines, partials, histories, historyFiles, damaged: [...damaged.keys()], misfits };
}

describe('a survey of a directory of WAL', () => {
  it('says the same as reading it file by file', async () => {
    const random = randomNumbers(20_260_131);
    for (let round = 0; round < 20; round++) {
      const directory = temporaryDirectory();
      for (let file = 0; file < 300; file++) {
        const suffix = SUFFIXES[random(SUFFIXES.length)] as string;
        writeFileSync(join(directory, name(1 + random(3), 4000 + random(150), suffix)), '');
      }
      writeFileSync(join(directory, '00000002.history'), random(2) === 0 ? '1\t0/300000\n' : 'garbage');
      writeFileSync(join(directory, '0000000A.history'), '1\t0/300000\n2\t0/400000\n');
      writeFileSync(join(directory, '0000000a.history'), '1\t0/300000\n');
      writeFileSync(join(directory, '000000010000000000001000'), ''); // there is no such segment of 1 MiB
      mkdirSync(join(directory, name(4, 1)));
      const survey = await surveyWal(directory, MIB);
      expect(extentOf(survey)).toEqual(extentOf(await readArchive(directory, MIB)));
    }
  });

  it('of a directory that does not exist has nothing; of a file it is refused', async () => {
    const path = join(temporaryDirectory(), 'wal');
    expect(await surveyWal(path, MIB, { bytes: true })).toMatchObject({
      partials: [],
      bytes: 0,
      sizeOnDisk: undefined,
    });
    writeFileSync(path, '');
    const error = await refusal(() => surveyWal(path, MIB), 'IO', /cannot list the WAL in .*wal: Not a directory/);
    expect(error.hint).toMatch(/own base_dir/);
  });

  it(
    'costs the thread that receives WAL nothing that grows with the number of segments',
    async () => {
      const directory = temporaryDirectory();
      fillWithSegments(directory, SEGMENTS);
      writeFileSync(join(directory, name(1, SEGMENTS + 1, '.partial')), Buffer.alloc(MIB));
      await surveyWal(temporaryDirectory(), MIB); // the addon is loaded
      const [survey, spent] = await cpuOfThread(() => surveyWal(directory, MIB, { bytes: true }));
      expect(survey.timelines).toEqual(new Map([[tli(1), [{ first: 1n, last: BigInt(SEGMENTS) }]]]));
      expect(survey).toMatchObject({ bytes: MIB, sizeOnDisk: MIB, partials: [{ number: BigInt(SEGMENTS + 1) }] });
      expect(gaps(survey, lsn('0/100000'))).toEqual([]);
      expect(spent).toBeLessThan(40);
    },
    LAYING_OUT,
  );
});
