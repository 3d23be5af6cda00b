import { lstat, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReuseReport } from '../../../src/native/restore.js';
import { deltaWarnings, giveTree, writtenDemands } from '../../../src/restore/delta.js';
import type { OldCluster } from '../../../src/restore/old-cluster.js';
import { planPlaces } from '../../../src/restore/target.js';

const NOTHING = { files: 0, bytes: 0 };
const REPORT: ReuseReport = {
  kept: NOTHING,
  copied: NOTHING,
  rewritten: NOTHING,
  added: NOTHING,
  removed: NOTHING,
  written: [
    { oid: '', bytes: 100 },
    { oid: '16384', bytes: 30 },
    { oid: '999', bytes: 7 },
  ],
  rewrittenPaths: [],
  addedPaths: [],
  removedPaths: [],
  links: [],
};
const OLD: OldCluster = {
  directory: '/pg/data',
  majorVersion: '17',
  systemIdentifier: '1',
  control: '',
  owner: { uid: 1, gid: 1 },
  tablespaces: [
    { oid: '16384', directory: '/mnt/fast', link: '/mnt/fast' },
    { oid: '16999', directory: '/mnt/newer', link: '/mnt/newer' },
  ],
};
const SPACES = [{ directory: 'tblspc_fast', oid: '16384', path: '/mnt/fast' }];
const TARGET = planPlaces('/pg/data', SPACES, { tablespaceMap: {}, relativeLinks: false }, OLD.tablespaces);

describe('what is written where', () => {
  it('counts tablespaces in place to the data directory', () => {
    expect(writtenDemands(TARGET, REPORT, 1000)).toEqual([
      { directory: '/pg/data', bytes: 1107 },
      { directory: '/mnt/fast', bytes: 30 },
    ]);
  });
});

describe('warnings', () => {
  it('tell of tablespaces that are no longer used', () => {
    expect(deltaWarnings(OLD, TARGET, REPORT)).toEqual([expect.stringMatching(/16999.*\/mnt\/newer/)]);
  });

  it('tell of pg_wal and of other links', () => {
    const links = [
      { path: 'log', target: '/var/log/pg' },
      { path: 'pg_wal', target: '/wal' },
    ];
    const warnings = deltaWarnings({ ...OLD, tablespaces: [] }, TARGET, { ...REPORT, links });
    expect(warnings).toEqual([expect.stringContaining('/wal'), expect.stringContaining('log -> /var/log/pg')]);
  });
});

describe.runIf(process.getuid?.() === 0)('the owner', () => {
  it('of everything that root has made becomes that of the old cluster; no link is followed', async () => {
    const root = await mkdtemp(join(tmpdir(), 'pgmoneta-owner-'));
    const tree = join(root, 'tree');
    await mkdir(join(tree, 'base'), { recursive: true });
    await writeFile(join(root, 'outside'), '');
    await writeFile(join(tree, 'base/1'), '');
    await symlink(join(root, 'outside'), join(tree, 'link'));
    await giveTree(tree, { uid: 4711, gid: 4712 });
    for (const name of ['', 'base', 'base/1', 'link']) {
      expect(await lstat(join(tree, name)), name).toMatchObject({ uid: 4711, gid: 4712 });
    }
    expect(await lstat(join(root, 'outside'))).toMatchObject({ uid: 0 });
    await rm(root, { recursive: true });
  });
});
