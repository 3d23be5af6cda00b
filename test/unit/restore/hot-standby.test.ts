import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { isBehind } from '../../../src/restore/hot-standby-look.js';
import { applyOverrides } from '../../../src/restore/hot-standby-overrides.js';
import { type CopyPaths, copyPaths } from '../../../src/restore/hot-standby-paths.js';
import { planPlaces, unusedMappings } from '../../../src/restore/hot-standby-places.js';
import { removeCopy } from '../../../src/restore/hot-standby-remove.js';
import { type CopyState, controlDigest, readState, writeState } from '../../../src/restore/hot-standby-state.js';
import { finishTablespaces, settleCopy, switchCopies } from '../../../src/restore/hot-standby-switch.js';
import { refusal, temporaryDirectory } from '../temporary.js';

const ENTRY = 'PG_17_202406281';

let root: string;
let paths: CopyPaths;
let place: string;

beforeEach(() => {
  root = temporaryDirectory();
  paths = copyPaths(join(root, 'standby'), 'primary');
  mkdirSync(paths.directory);
  place = join(root, 'place');
});

/** A data directory with one tablespace, the files of which say what it is. */
function cluster(directory: string, content: string, target: string) {
  for (const folder of ['global', 'pg_tblspc']) mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'global', 'pg_control'), `control ${content}`);
  symlinkSync(target, join(directory, 'pg_tblspc', '16384'));
  mkdirSync(join(target, ENTRY), { recursive: true });
  writeFileSync(join(target, ENTRY, 'file'), content);
}

const built = () => join(place, '.primary.new');
const control = (directory: string) =>
  readFileSync(join(directory, 'global', 'pg_control'), 'utf8').replace('control ', '');
/** What a server that is started in the copy finds: its control file and its tablespace have to be of one backup. */
const content = () => {
  if (!existsSync(paths.copy)) return 'absent';
  const file = join(paths.copy, 'pg_tblspc', '16384', ENTRY, 'file');
  const inTablespace = existsSync(file) ? readFileSync(file, 'utf8') : 'nothing';
  return inTablespace === control(paths.copy) ? inTablespace : `mixed: ${control(paths.copy)} and ${inTablespace}`;
};

async function stateOf(directory: string, target: string, backup: string): Promise<CopyState> {
  const inode = String(lstatSync(join(target, ENTRY)).ino);
  return {
    server: 'primary',
    backup,
    systemIdentifier: '7',
    manifest: '',
    control: await controlDigest(directory),
    stamp: 1n,
    tablespaces: [{ oid: '16384', place, entries: [{ name: ENTRY, inode }] }],
  };
}

/** A whole copy, as an update leaves it. */
async function whole(text: string, label: string) {
  cluster(paths.copy, text, place);
  await writeState(paths.state, await stateOf(paths.copy, place, label));
}

/** What an update has built before it comes to the exchange. */
async function next(text: string, label: string) {
  cluster(paths.building, text, built());
  await writeState(paths.nextState, await stateOf(paths.building, built(), label));
}

const OLD = '20260101000000';
const NEW = '20260102000000';

describe('the switch', () => {
  it('gives the first copy its name', async () => {
    await next('new', NEW);
    await switchCopies(paths, '');
    expect(content()).toBe('new');
    await finishTablespaces(paths);
    expect(content()).toBe('new');
    expect(readlinkSync(join(paths.copy, 'pg_tblspc', '16384'))).toBe(place);
    expect(readdirSync(place)).toEqual([ENTRY]);
    expect((await readState(paths.state))?.backup).toBe(NEW);
  });

  it('lets the new copy and the old one change places', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    await switchCopies(paths, await controlDigest(paths.copy));
    expect(content()).toBe('new');
    expect(control(paths.building)).toBe('old');
    await finishTablespaces(paths);
    expect(content()).toBe('new');
    expect(readdirSync(place)).toEqual([ENTRY]);
  });

  it('leaves a copy in which a server runs', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    writeFileSync(join(paths.copy, 'postmaster.pid'), `${process.pid}\n${paths.copy}\n`);
    const refused = await refusal(
      async () => switchCopies(paths, await controlDigest(paths.copy)),
      'HOT_STANDBY',
      /runs in/,
    );
    expect(refused.hint).toContain('pg_ctl');
    expect(content()).toBe('old');
    await refusal(() => settleCopy(paths), 'HOT_STANDBY', /runs in/);
  });

  it('leaves a copy whose server runs where it cannot be seen', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(join(paths.copy, 'postmaster.pid'), `${gone}\n${paths.copy}\n`);
    const refused = await refusal(
      () => settleCopy(paths),
      'HOT_STANDBY',
      /postmaster\.pid, but no process \d+ on this machine/,
    );
    expect(refused.hint).toContain('remove that file');
    expect(content()).toBe('old');
    rmSync(join(paths.copy, 'postmaster.pid'));
    await settleCopy(paths);
  });

  it('leaves a copy that was started and stopped meanwhile', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    const before = await controlDigest(paths.copy);
    writeFileSync(join(paths.copy, 'global', 'pg_control'), 'control old');
    writeFileSync(join(paths.copy, 'global', 'pg_control'), 'changed', { flag: 'a' });
    await refusal(() => switchCopies(paths, before), 'HOT_STANDBY', /has been started/);
    expect(control(paths.copy)).toBe('oldchanged');
  });

  it('is taken back when a server is found in the old copy just afterwards', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    const switching = switchCopies(paths, await controlDigest(paths.copy));
    const refused = refusal(() => switching, 'HOT_STANDBY', /runs in/);
    while (control(paths.copy) !== 'new') await new Promise((resolve) => setTimeout(resolve, 2));
    // It has entered the directory under its old name, and writes its PID file there.
    writeFileSync(join(paths.building, 'postmaster.pid'), `${process.pid}\n`);
    await refused;
    expect(content()).toBe('old');
    expect(existsSync(join(paths.copy, 'postmaster.pid'))).toBe(true);
    expect((await readState(paths.state))?.backup).toBe(OLD);
  });
});

describe('what a killed update leaves is settled', () => {
  const P = () => join(place, ENTRY);
  const B = () => join(built(), ENTRY);
  const hop = () => symlinkSync(join('..', ENTRY), P());

  /** The steps of an update from the exchange on, in the order in which a kill may cut them off. */
  const steps: readonly (readonly [string, () => void])[] = [
    ['the exchange', () => exchangeNow(paths.building, paths.copy)],
    ['the state', () => renameSync(paths.nextState, paths.state)],
    ['the old directory of the tablespace gone', () => rmSync(P(), { recursive: true })],
    ['the link', () => hop()],
    ['the exchange of the tablespace', () => exchangeNow(B(), P())],
    ['the link of the copy', () => relink()],
  ];
  const relink = () => {
    symlinkSync(place, paths.link);
    renameSync(paths.link, join(paths.copy, 'pg_tblspc', '16384'));
  };
  const exchangeNow = (a: string, b: string) => {
    renameSync(a, `${a}.aside`);
    renameSync(b, a);
    renameSync(`${a}.aside`, b);
  };

  it.each(steps.map(([name], index) => [index + 1, name] as const))('after step %i, %s', async (count) => {
    await whole('old', OLD);
    await next('new', NEW);
    for (const [name, step] of steps.slice(0, count)) {
      step();
      expect(content(), name).toBe('new');
    }
    await settleCopy(paths);
    expect(content()).toBe('new');
    expect((await readState(paths.state))?.backup).toBe(NEW);
    expect(readlinkSync(join(paths.copy, 'pg_tblspc', '16384'))).toBe(place);
    expect(readdirSync(paths.directory).sort()).toEqual(['.primary.json', 'primary']);
    expect(readdirSync(place)).toEqual([ENTRY]);
    expect(await isBehind({ directory: paths.directory, overrides: undefined, mappings: [] }, 'primary', NEW)).toBe(
      false,
    );
  });

  it('before the exchange', async () => {
    await whole('old', OLD);
    await next('new', NEW);
    const standby = { directory: paths.directory, overrides: undefined, mappings: [] };
    expect(await isBehind(standby, 'primary', OLD)).toBe(true);
    await settleCopy(paths);
    expect(content()).toBe('old');
    expect((await readState(paths.state))?.backup).toBe(OLD);
    expect(readdirSync(paths.directory).sort()).toEqual(['.primary.json', 'primary']);
    expect(await isBehind(standby, 'primary', OLD)).toBe(false);
    expect(await isBehind(standby, 'primary', NEW)).toBe(true);
  });

  it('where an exchange is three renames', async () => {
    const aside = (path: string) => `${path}.exchange`;
    await whole('old', OLD);
    await next('new', NEW);
    renameSync(paths.building, aside(paths.building));
    renameSync(paths.copy, paths.building);
    await settleCopy(paths);
    expect(content()).toBe('new');
    for (const cut of [1, 2]) {
      rmSync(paths.copy, { recursive: true });
      rmSync(place, { recursive: true });
      cluster(paths.copy, 'new', built());
      hop();
      renameSync(B(), aside(B()));
      if (cut === 2) renameSync(P(), B());
      await settleCopy(paths);
      expect(content()).toBe('new');
      expect(readdirSync(place)).toEqual([ENTRY]);
    }
  });

  it('and a copy that was started is nobody’s business until the next backup', async () => {
    await whole('old', OLD);
    writeFileSync(join(paths.copy, 'global', 'pg_control'), 'changed', { flag: 'a' });
    expect(await isBehind({ directory: paths.directory, overrides: undefined, mappings: [] }, 'primary', NEW)).toBe(
      false,
    );
  });
});

describe('overrides', () => {
  const apply = (overrides: string) => applyOverrides(overrides, paths.copy, new AbortController().signal);
  let overrides: string;
  beforeEach(async () => {
    await whole('old', OLD);
    overrides = join(root, 'overrides');
    mkdirSync(join(overrides, 'conf.d'), { recursive: true });
  });

  it('are new files: what shares its inode with another copy is not written to', async () => {
    writeFileSync(join(paths.copy, 'postgresql.conf'), 'theirs');
    linkSync(join(paths.copy, 'postgresql.conf'), join(root, 'shared'));
    writeFileSync(join(overrides, 'postgresql.conf'), 'mine', { mode: 0o644 });
    writeFileSync(join(overrides, 'conf.d', 'a.conf'), 'new');
    expect(await apply(overrides)).toBe(2);
    expect(readFileSync(join(paths.copy, 'postgresql.conf'), 'utf8')).toBe('mine');
    expect(readFileSync(join(root, 'shared'), 'utf8')).toBe('theirs');
    expect(lstatSync(join(paths.copy, 'postgresql.conf')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(paths.copy, 'conf.d', 'a.conf'), 'utf8')).toBe('new');
  });

  it('that are not there are told', async () => expect(await apply(join(root, 'nowhere'))).toBeUndefined());

  it('lead nowhere else, on neither side', async () => {
    symlinkSync('/etc/hostname', join(overrides, 'conf.d', 'link'));
    await refusal(
      () => apply(overrides),
      'HOT_STANDBY',
      /conf\.d\/link of hot_standby_overrides .* links are not followed/,
    );
    rmSync(join(overrides, 'conf.d', 'link'));
    mkdirSync(join(overrides, 'pg_tblspc', '16384'), { recursive: true });
    writeFileSync(join(overrides, 'pg_tblspc', '16384', 'file'), 'x');
    await refusal(() => apply(overrides), 'HOT_STANDBY', /pg_tblspc\/16384 of the cluster is not a directory/);
    expect(readdirSync(place)).toEqual([ENTRY]);
  });

  it.each(['postmaster.pid', 'global/pg_control'])('leave %s to the server', async (name) => {
    mkdirSync(join(overrides, 'global'));
    writeFileSync(join(overrides, name), 'x');
    await refusal(() => apply(overrides), 'HOT_STANDBY', /belongs to the server/);
  });
});

describe('places of tablespaces', () => {
  const tablespaces = () => [{ directory: 'tblspc_fast', oid: '16384', path: join(root, 'original-fast') }];
  const order = (mappings: readonly { from: string; to: string }[], before: (typeof mappings)[] = []) => ({
    server: 'primary',
    paths,
    mappings,
    before,
    tablespaces: tablespaces(),
    baseDir: join(root, 'backup'),
  });
  const chosen = async (...args: Parameters<typeof order>) =>
    (await planPlaces(order(...args))).map((one) => one.place);

  it('are mapped by OID or path, else those of pgmoneta 0.21, else beside the copy', async () => {
    const original = join(root, 'original-fast');
    expect(await chosen([{ from: '16384', to: join(root, 'a') }])).toEqual([join(root, 'a')]);
    expect(await chosen([{ from: original, to: join(root, 'b') }])).toEqual([join(root, 'b')]);
    expect(await chosen([])).toEqual([`${original}hs`]);
    expect(await chosen([], [[]])).toEqual([join(paths.directory, 'primary-tblspc_fast')]);
    writeFileSync(join(root, 'file'), '');
    mkdirSync(join(`${original}hs`, ENTRY));
    expect(await chosen([])).toEqual([join(paths.directory, 'primary-tblspc_fast')]);
    expect(unusedMappings(order([{ from: '99', to: '/x' }]))).toEqual([{ from: '99', to: '/x' }]);
  });

  it('that have files of something else are refused, unless the copy has them', async () => {
    mkdirSync(join(place, ENTRY), { recursive: true });
    const mapped = [{ from: '16384', to: place }];
    const refused = await refusal(
      () => chosen(mapped),
      'HOT_STANDBY',
      /fast \(OID 16384\) has no place: .* not of this copy/,
    );
    expect(refused.hint).toContain('hot_standby_tablespaces = 16384');
    rmSync(place, { recursive: true });
    await whole('old', OLD);
    expect(await chosen(mapped)).toEqual([place]);
  });
});

describe('removal', () => {
  it('takes what an update made, and nothing else', async () => {
    await whole('old', OLD);
    writeFileSync(join(paths.directory, 'mine'), '');
    writeFileSync(join(place, 'mine'), '');
    expect(await removeCopy(paths)).toBe(true);
    expect(readdirSync(paths.directory)).toEqual(['mine']);
    expect(readdirSync(place)).toEqual(['mine']);
  });

  it('leaves a tablespace that is not the one that was made', async () => {
    await whole('old', OLD);
    renameSync(join(place, ENTRY), join(root, 'moved'));
    mkdirSync(join(place, ENTRY));
    await removeCopy(paths);
    expect(readdirSync(place)).toEqual([ENTRY]);
    expect(readdirSync(paths.directory)).toEqual([]);
  });

  it('leaves a data directory of which nothing is known, and one in which a server runs', async () => {
    cluster(paths.copy, 'theirs', place);
    expect(await removeCopy(paths)).toBe(false);
    expect(content()).toBe('theirs');
    await writeState(paths.state, await stateOf(paths.copy, place, OLD));
    writeFileSync(join(paths.copy, 'postmaster.pid'), `${process.pid}\n`);
    await refusal(() => removeCopy(paths), 'HOT_STANDBY', /runs in/);
    expect(content()).toBe('theirs');
  });
});

it('a state that cannot be understood is none', async () => {
  await whole('old', OLD);
  expect((await readState(paths.state))?.tablespaces[0]?.place).toBe(place);
  const text = readFileSync(paths.state, 'utf8');
  for (const damaged of ['', '{', text.replace('"Version":1', '"Version":2'), text.replace(OLD, 'x')]) {
    writeFileSync(paths.state, damaged);
    expect(await readState(paths.state)).toBeUndefined();
  }
  expect(createHash('sha512').update('control old').digest('hex')).toBe(await controlDigest(paths.copy));
});
