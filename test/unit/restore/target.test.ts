import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkRestoreSpace } from '../../../src/restore/space.js';
import { checkTargets, planPlaces, planTarget } from '../../../src/restore/target.js';

const SPACES = [
  { directory: 'tblspc_fast', oid: '16384', path: '/srv/fast' },
  { directory: 'tblspc_slow', oid: '16385', path: '/srv/slow' },
];
const plan = (root: string, tablespaceMap: Record<string, string> = {}, relativeLinks = false) =>
  planTarget(root, 'primary', '20260101000000', SPACES, { tablespaceMap, relativeLinks });

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgmoneta-target-'));
});
afterEach(() => rm(root, { recursive: true }));

describe('placement', () => {
  it('puts tablespaces beside the data directory unless they are mapped', () => {
    const { final, tablespaces } = plan('/r', { fast: '/ssd/fast' });
    expect(final).toBe('/r/primary-20260101000000');
    expect(tablespaces.map(({ final, link }) => [final, link])).toEqual([
      ['/ssd/fast', '/ssd/fast'],
      ['/r/primary-20260101000000-tblspc_slow', '/r/primary-20260101000000-tblspc_slow'],
    ]);
  });

  it('takes OID, name and original path as keys', () => {
    for (const key of ['16385', 'slow', '/srv/slow'])
      expect(plan('/r', { [key]: '/x' }).tablespaces[1]?.final).toBe('/x');
  });

  it('makes links relative when asked', () => {
    expect(plan('/r', {}, true).tablespaces[0]?.link).toBe('../../primary-20260101000000-tblspc_fast');
  });

  it.each([
    [{ nosuch: '/x' }, 'no tablespace nosuch'],
    [{ fast: 'relative' }, 'not absolute'],
    [{ fast: '/x', slow: '/x' }, 'would both be'],
    [{ fast: '/r/primary-20260101000000' }, 'would both be'],
  ])('refuses the mapping %j', (map, why) => {
    expect(() => plan('/r', map as Record<string, string>)).toThrow(why);
  });
});

describe('the tablespaces of a cluster that is there', () => {
  const standing = [{ oid: '16384', directory: '/mnt/fast', link: '../../fast' }];
  const places = (tablespaceMap: Record<string, string>, relativeLinks = false) =>
    planPlaces('/pg/data', SPACES, { tablespaceMap, relativeLinks }, standing).tablespaces.map(({ final, link }) => [
      final,
      link,
    ]);

  it('stay where they are, with their links; new ones go beside the data directory', () => {
    expect(places({})).toEqual([
      ['/mnt/fast', '../../fast'],
      ['/pg/data-tblspc_slow', '/pg/data-tblspc_slow'],
    ]);
  });

  it('go where they are mapped', () => {
    expect(places({ fast: '/ssd', slow: '/mnt/fast' })).toEqual([
      ['/ssd', '/ssd'],
      ['/mnt/fast', '/mnt/fast'],
    ]);
    expect(places({}, true)[0]).toEqual(['/mnt/fast', '../../../mnt/fast']);
  });
});

describe('an existing target', () => {
  it('that is meant to be replaced needs no force, others beside it do', async () => {
    const target = plan(root);
    for (const path of [target.final, `${target.final}-tblspc_fast`]) {
      await mkdir(path);
      await writeFile(join(path, 'file'), '');
    }
    await expect(checkTargets(target, false, [target.final])).rejects.toThrow('tblspc_fast');
    expect(await checkTargets(target, true, [target.final])).toHaveLength(2);
  });

  it('is refused, and accepted when empty or forced', async () => {
    const target = plan(root);
    expect(await checkTargets(target, false)).toEqual([]);
    await mkdir(target.final);
    expect(await checkTargets(target, false)).toEqual([target.final]);
    await writeFile(join(target.final, 'PG_VERSION'), '17\n');
    await expect(checkTargets(target, false)).rejects.toThrow('is not empty');
    expect(await checkTargets(target, true)).toEqual([target.final]);
  });

  it('is refused even when forced while a server runs in it', async () => {
    const target = plan(root);
    await mkdir(target.final);
    await writeFile(join(target.final, 'postmaster.pid'), `${process.pid}\n`);
    await expect(checkTargets(target, true)).rejects.toThrow(`a server with PID ${process.pid} runs`);
    await writeFile(join(target.final, 'postmaster.pid'), '2147483646\n');
    expect(await checkTargets(target, true)).toEqual([target.final]);
  });
});

describe('space', () => {
  it('is added up per file system and refused with the figures', async () => {
    const demands = [
      { directory: join(root, 'a'), bytes: 60 * 1024 * 1024 },
      { directory: join(root, 'b'), bytes: 60 * 1024 * 1024 },
    ];
    const one = () => ({ device: 1, available: 100 * 1024 * 1024 });
    await expect(checkRestoreSpace(demands, one)).rejects.toThrow(/123 MB needed .* 100 MB free/);
    let device = 0;
    await checkRestoreSpace(demands, () => ({ device: device++, available: 100 * 1024 * 1024 }));
  });
});
