import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArchive, wholeFile } from '../../../src/wal/archive.js';
import { timelinesOf } from '../../../src/wal/extent.js';
import { sizeOnDisk, sizesThatFit } from '../../../src/wal/segment-size.js';
import { surveyWal } from '../../../src/wal/survey.js';
import { refusal, temporaryDirectory } from '../temporary.js';
import { archiveOf, lsn, MIB, name, range, tli } from './build.js';

const HISTORY = '1\t0/300000\tno recovery target specified\n';

describe('an archive', () => {
  it('has runs of whole segments, over the border of 4 GiB too', () => {
    const archive = archiveOf([...range(1, 4094, 4097, '.zstd'), ...range(1, 5000, 5001), name(2, 7)].reverse());
    expect(archive.timelines.get(tli(1))).toEqual([
      { first: 4094n, last: 4097n, files: range(1, 4094, 4097, '.zstd') },
      { first: 5000n, last: 5001n, files: range(1, 5000, 5001) },
    ]);
    expect(wholeFile(archive, tli(1), 4096n)).toBe('000000010000000100000000.zstd');
    expect(wholeFile(archive, tli(1), 4098n)).toBeUndefined();
    expect(wholeFile(archive, tli(1), 0n)).toBeUndefined();
    expect(wholeFile(archive, tli(1), 6000n)).toBeUndefined();
    expect(wholeFile(archive, tli(2), 7n)).toBe(name(2, 7));
    expect(wholeFile(archive, tli(3), 7n)).toBeUndefined();
  });

  it('prefers plain to stored, stored to partial', () => {
    const archive = archiveOf([
      name(1, 3, '.zstd.aes'),
      name(1, 3),
      name(1, 3, '.partial'),
      name(1, 4, '.partial'),
      name(1, 4, '.aes'),
      name(1, 5, '.partial'),
    ]);
    expect(archive.timelines.get(tli(1))?.flatMap((run) => run.files)).toEqual([name(1, 3), name(1, 4, '.aes')]);
    expect(archive.superseded.map((entry) => entry.file).sort()).toEqual([
      name(1, 3, '.partial'),
      name(1, 3, '.zstd.aes'),
      name(1, 4, '.partial'),
    ]);
    expect(archive.partials).toMatchObject([{ file: name(1, 5, '.partial'), number: 5n, begin: BigInt(5 * MIB) }]);
  });

  it('knows the segment that is being received: the last partial one of the newest timeline', () => {
    const partials = [name(1, 5, '.partial'), name(2, 6, '.partial')];
    expect(archiveOf([name(1, 4), ...partials]).open?.file).toBe(name(2, 6, '.partial'));
    expect(archiveOf([name(1, 4), ...partials, name(3, 6)]).open).toBeUndefined();
    expect(archiveOf([]).open).toBeUndefined();
  });

  it('leaves what is no WAL alone, and notices segments that cannot be', () => {
    const archive = archiveOf(
      ['backup_label', `${name(1, 1)}.tmp-1-1`, name(1, 2), '.nfs0001', name(1, 300)],
      {},
      16 * MIB,
    );
    expect(archive.timelines.size).toBe(1);
    expect(archive.misfits).toEqual([name(1, 300)]);
  });

  it('takes the history file that can be read when there are both cases', () => {
    const both = archiveOf([], { '0000000A.history': HISTORY, '0000000a.history': '1\t0/100000\n' });
    expect(both.histories.get(tli(10))?.entries[0]?.switchPoint).toBe(lsn('0/300000'));
    expect(both.historyFiles.get(tli(10))).toEqual(['0000000A.history', '0000000a.history']);
    const torn = archiveOf([], { '0000000A.history': '1\t0', '0000000a.history': `${HISTORY}\0` });
    expect(torn.histories.get(tli(10))?.entries).toHaveLength(1);
    expect(torn.damaged.size).toBe(0);
  });

  it('tells which history file is damaged, and why', () => {
    const archive = archiveOf([name(2, 3)], { '00000002.history': 'garbage' });
    expect(archive.histories.size).toBe(0);
    expect(archive.damaged.get(tli(2))?.message).toMatch(/^\/wal\/00000002\.history:1: expected/);
    expect(timelinesOf(archive)).toEqual([2]);
  });

  it('takes the last segment there can be', () => {
    expect(archiveOf(['FFFFFFFFFFFFFFFF00000FFF']).timelines.get(tli(0xffffffff))).toHaveLength(1);
  });
});

describe('a directory of WAL', () => {
  it('is empty when it does not exist', async () => {
    expect(timelinesOf(await readArchive(join(temporaryDirectory(), 'wal'), MIB))).toEqual([]);
  });

  it('is refused when it cannot be listed', async () => {
    const file = join(temporaryDirectory(), 'wal');
    await writeFile(file, '');
    await refusal(() => readArchive(file, MIB), 'IO', /cannot list the WAL in .*wal: Not a directory/);
  });

  it('counts regular files only, and reads history files byte by byte', async () => {
    const directory = temporaryDirectory();
    await mkdir(join(directory, name(1, 1)));
    await writeFile(join(directory, name(1, 2, '.zstd')), 'x');
    await symlink(name(1, 2, '.zstd'), join(directory, name(1, 3)));
    await writeFile(join(directory, '00000002.history'), Buffer.from('1\t0/300000\t\xff\xfe\0', 'latin1'));
    await writeFile(join(directory, '00000003.history'), Buffer.alloc(2 * MIB, '#'));
    const archive = await readArchive(directory, MIB);
    expect(archive.timelines.get(tli(1))?.flatMap((run) => run.files)).toEqual([name(1, 2, '.zstd')]);
    expect(archive.histories.get(tli(2))?.entries).toHaveLength(1);
    expect(archive.damaged.get(tli(3))?.message).toMatch(/the file is larger than/);
  });

  it('tells its size and the size of its segments', async () => {
    const directory = temporaryDirectory();
    await writeFile(join(directory, name(1, 2, '.zstd')), Buffer.alloc(1000));
    expect(await sizeOnDisk(await readArchive(directory, 16 * MIB))).toBeUndefined();
    await writeFile(join(directory, name(1, 3, '.partial')), Buffer.alloc(MIB));
    await writeFile(join(directory, '00000002.history'), HISTORY);
    await writeFile(join(directory, 'stray'), Buffer.alloc(500));
    expect(await sizeOnDisk(await readArchive(directory, 16 * MIB))).toBe(MIB);
    const bytes = 1000 + MIB + HISTORY.length;
    expect(await surveyWal(directory, 16 * MIB, { bytes: true })).toMatchObject({ sizeOnDisk: MIB, bytes });
    expect(await surveyWal(directory, 16 * MIB)).toMatchObject({ sizeOnDisk: MIB, bytes: 0 });
  });
});

describe('the size of segments', () => {
  it('follows from the name of a segment and a position in it', () => {
    expect(sizesThatFit('000000010000000000000002', lsn('0/2000028'))).toEqual([16 * MIB]);
    expect(sizesThatFit('000000010000000000000020', lsn('0/2000028'))).toEqual([MIB]);
    expect(sizesThatFit('0000000100000001FFFFFFFF', lsn('1/FF000028'))).toEqual([]);
    expect(sizesThatFit('000000010000000100000000', lsn('1/3000028'))).toEqual(
      [64, 128, 256, 512, 1024].map((n) => n * MIB),
    );
    expect(sizesThatFit('', lsn('0/0'))).toEqual([]);
  });
});
