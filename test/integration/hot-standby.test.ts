import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { canMount, mount, takeAll } from '../support/disk.mjs';
import { until } from '../support/processes.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { give, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { startExisting } from '../support/server.mjs';
import { copyCluster, differences, inodes, listTree, tablespacesOf } from '../support/trees.mjs';

const ODD = '"Slow & ""odd"" space"';
/** Files of the overrides: one that the cluster has, one that it has not, one in a directory of its own. */
const OVERRIDDEN = ['postgresql.conf', 'standby-only.conf', 'conf.d', 'conf.d/extra.conf'];

let scene: Scene;
/** With overrides and mapped tablespaces. */
let one: string;
/** With nothing but a directory. */
let two: string;
let places: { fast: string; odd: string };
let oids: { fast: string; odd: string };
let round = 0;

interface Entry {
  Directory: string;
  Result: string;
  Problem?: string;
  Files?: number;
  FilesKept?: number;
}

const copy = (directory: string): string => path.join(directory, 'primary');

function write(file: string, text: string) {
  writeFileSync(file, text, { mode: 0o644 });
  give(file);
}

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 1000 },
    start: false,
    settings: { compression: 'zstd', encryption: 'aes-256-gcm' },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  const { pgmoneta, server } = scene;
  one = makeDirectory(path.join(pgmoneta.base, 'standby - one'));
  two = path.join(pgmoneta.base, 'standby-two');
  const overrides = makeDirectory(path.join(pgmoneta.base, 'overrides'));
  write(path.join(overrides, 'postgresql.conf'), "log_min_messages = 'debug1'\nwork_mem = '7MB'\n");
  write(path.join(overrides, 'standby-only.conf'), '# only here\n');
  makeDirectory(path.join(overrides, 'conf.d'));
  write(path.join(overrides, 'conf.d', 'extra.conf'), '# only here\n');
  const oidOf = async (name: string) =>
    String(await server.value(`SELECT oid FROM pg_tablespace WHERE spcname = '${name}'`));
  oids = { fast: await oidOf('fast'), odd: await oidOf('Slow & "odd" space') };
  places = { fast: path.join(pgmoneta.base, 'place-of - fast'), odd: path.join(pgmoneta.base, 'place -> odd') };
  const original = path.join(server.base, 'ts with blanks');
  const [section] = pgmoneta.servers;
  if (section === undefined) throw new Error('there is no server section');
  section.settings = {
    hot_standby: `${one}, ${two}`,
    hot_standby_overrides: overrides,
    hot_standby_tablespaces: `${oids.fast} -> ${places.fast}, ${original} -> ${places.odd}`,
  };
  pgmoneta.configure();
  await pgmoneta.start();
});
afterAll(() => scene?.close());

/** Takes a backup; gives what came of each hot standby. */
async function backup(...parent: string[]): Promise<{ label: string; entries: Entry[] }> {
  const { Backup, HotStandby } = await scene.pgmoneta.must('backup', 'primary', ...parent);
  return { label: Backup, entries: HotStandby };
}

async function updated(...parent: string[]): Promise<string> {
  const { label, entries } = await backup(...parent);
  const results = entries.map(({ Directory, Result, Problem }) => [Directory, Result, Problem]);
  expect(results).toEqual([
    [one, 'updated', undefined],
    [two, 'updated', undefined],
  ]);
  return label;
}

/** Changes of all kinds between two backups. */
async function change() {
  round += 1;
  await scene.server.sql(`
    UPDATE main_table SET number = number + 1 WHERE id % 100 = ${round};
    INSERT INTO in_fast SELECT i, md5(i::text) FROM generate_series(${round * 100_000}, ${round * 100_000} + 500) i;
    CREATE TABLE round_${round} TABLESPACE ${round % 2 === 0 ? 'fast' : ODD} AS SELECT i FROM generate_series(1, 500) i;
    TRUNCATE parted_a;
  `);
  if (round > 2) await scene.server.sql(`DROP TABLE round_${round - 2}`);
  if (round === 4) await scene.server.sql('VACUUM FULL main_table');
  if (round === 6) await scene.server.sql('CREATE DATABASE of_round_six TABLESPACE fast');
}

/** Both copies are what a restore of the same backup makes. */
async function proveEqual(label: string) {
  scene.pgmoneta.clearRestored();
  const fresh = await scene.pgmoneta.restore(label);
  expect(differences(listTree(fresh), listTree(copy(two)))).toEqual([]);
  const except = OVERRIDDEN;
  expect(differences(listTree(fresh, { except }), listTree(copy(one), { except }))).toEqual([]);
  expect(readFileSync(path.join(copy(one), 'postgresql.conf'), 'utf8')).toContain('7MB');
  expect(existsSync(path.join(copy(one), 'conf.d', 'extra.conf'))).toBe(true);
  if (referee(17)) expect(verifyBackup(copy(two), 17)).toMatchObject({ exit: 0 });
  for (const directory of [one, two]) {
    expect(readdirSync(directory).sort()).toEqual(['.primary.json', 'primary'].sort());
  }
}

/** What every renewal writes anew. */
const ANEW = /^(pg_wal\/|global\/pg_control$|backup_label$|backup_manifest$|postgresql\.auto\.conf$|tablespace_map$)/;

/** What did not change is the same file as before, what did is another one: nothing is written in place. */
function proveKept(tree: Record<string, string>, before: Record<string, number>) {
  const [now, after] = [listTree(copy(two)), inodes(copy(two))];
  const same = Object.keys(after).filter((name) => tree[name] === now[name] && !ANEW.test(name));
  const changed = Object.keys(after).filter((name) => name in before && tree[name] !== now[name]);
  expect(same.length).toBeGreaterThan(1000);
  expect(changed.length).toBeGreaterThan(3);
  expect(same.filter((name) => before[name] !== after[name])).toEqual([]);
  expect(changed.filter((name) => before[name] === after[name])).toEqual([]);
}

/** A copy of the copy starts, and has all rows. */
async function proveStarts(directory: string, checksums: Record<string, string>) {
  const place = path.join(scene.pgmoneta.base, `start-${round}`);
  const server = await startExisting(17, copyCluster(copy(directory), place));
  try {
    expect(await server.value('SELECT pg_is_in_recovery()')).toBe('f');
    expect(await checksumEveryTable(server)).toEqual(checksums);
    if (directory === one) expect(await server.value('SHOW work_mem')).toBe('7MB');
  } finally {
    await server.remove();
    rmSync(place, { recursive: true, force: true });
  }
}

describe('each backup', () => {
  const kinds = [
    'full',
    'incremental',
    'incremental',
    'full',
    'incremental',
    'full',
    'full',
    'incremental',
    'full',
    'incremental',
  ];

  test.each(kinds.map((kind, index) => [index + 1, kind] as const))(
    '%i, %s: the copies are equal to it, and start',
    async (n, kind) => {
      await change();
      const checksums = await checksumEveryTable(scene.server);
      const before = n === 1 ? undefined : ([listTree(copy(two)), inodes(copy(two))] as const);
      const label = await updated(...(kind === 'full' ? [] : ['newest']));
      await proveEqual(label);
      if (before !== undefined) proveKept(...before);
      await proveStarts(n % 2 === 0 ? one : two, checksums);
    },
  );

  test('tablespaces are at their places', () => {
    expect(tablespacesOf(copy(one))).toEqual({ [oids.fast]: places.fast, [oids.odd]: places.odd });
    // Where pgmoneta 0.21 has them.
    const { base } = scene.server;
    expect(tablespacesOf(copy(two))).toEqual({
      [oids.fast]: path.join(base, 'fasths'),
      [oids.odd]: path.join(base, 'ts with blankshs'),
    });
    for (const place of Object.values({ ...tablespacesOf(copy(one)), ...tablespacesOf(copy(two)) })) {
      expect(readdirSync(place).filter((name) => !name.startsWith('PG_17_'))).toEqual([]);
    }
  });

  test('an incremental backup upon that of the copy needs nothing of older ones', async () => {
    const full = await updated();
    const relation = String(await scene.server.value(`SELECT pg_relation_filepath('main_table')`));
    const stored = path.join(scene.pgmoneta.backupDirectory(full), 'data', `${relation}.zstd.aes`);
    await change();
    chmodSync(stored, 0);
    try {
      await updated('newest');
      const fresh = await scene.pgmoneta.json('restore', 'primary', 'newest', scene.pgmoneta.restored);
      expect(fresh.document.Outcome.Message).toContain(stored);
    } finally {
      chmodSync(stored, 0o600);
    }
    await change();
    await proveEqual(await updated('newest'));
  });

  test('status tells which backup each copy is of', async () => {
    const { Servers } = await scene.pgmoneta.must('status', 'details');
    const [{ HotStandbys, HotStandbySize }] = Servers;
    const newest = scene.pgmoneta.backupsOnDisk().at(-1);
    expect(HotStandbys).toMatchObject([
      { Directory: one, Backup: newest },
      { Directory: two, Backup: newest },
    ]);
    expect(HotStandbySize).toMatch(/MB/);
  });
});

/** What came of the two directories: word and problem. */
async function outcomes(...parent: string[]): Promise<{ label: string; first: Entry; second: Entry }> {
  const { label, entries } = await backup(...parent);
  const [first, second] = entries;
  if (first === undefined || second === undefined) throw new Error(`two entries expected: ${JSON.stringify(entries)}`);
  return { label, first, second };
}

const valid = async (label: string) =>
  (await scene.pgmoneta.must('list-backup', 'primary')).Backups.find((one: { Backup: string }) => one.Backup === label)
    .Valid;

describe('a copy that was started', () => {
  let running: Awaited<ReturnType<typeof startExisting>>;

  test('is left alone as long as a server runs in it; the backup is valid, the other copy renewed', async () => {
    running = await startExisting(17, copy(two));
    await running.sql('CREATE TABLE written_in_the_copy TABLESPACE fast AS SELECT 1 AS x');
    await change();
    const { label, first, second } = await outcomes();
    expect(first.Result).toBe('updated');
    expect(second).toMatchObject({ Directory: two, Result: 'failed' });
    expect(second.Problem).toMatch(/a server with PID \d+ runs in .*primary.*pg_ctl/);
    expect(await valid(label)).toBe('yes');
    expect(await running.value('SELECT x FROM written_in_the_copy')).toBe('1');
    const { Servers } = await scene.pgmoneta.must('status', 'details');
    expect(Servers[0].HotStandbys[1].Problem).toContain('runs in');
    expect(scene.pgmoneta.logTail(200)).toContain(`hot standby ${two} of primary is not at backup ${label}`);
  });

  test('is not touched when it has been stopped, neither by time nor by the start of the daemon', async () => {
    await running.stop();
    const before = listTree(copy(two));
    await scene.pgmoneta.stop();
    await scene.pgmoneta.start();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(differences(before, listTree(copy(two)))).toEqual([]);
  });

  test('is made again by the next backup', async () => {
    await change();
    const checksums = await checksumEveryTable(scene.server);
    await proveEqual(await updated('newest'));
    await proveStarts(two, checksums);
    await running.remove();
  });
});

describe('what is in the way of one directory is told, and concerns neither the backup nor the other one', () => {
  const shutOff = (directory: string) => execFileSync('chown', ['root:root', directory]);

  test.runIf(process.getuid?.() === 0)('a directory that cannot be written', async () => {
    const before = listTree(copy(two));
    shutOff(two);
    chmodSync(two, 0o755);
    try {
      const { label, first, second } = await outcomes();
      expect([first.Result, second.Result]).toEqual(['updated', 'failed']);
      expect(second.Problem).toMatch(/standby-two.*(permission|denied)/i);
      expect(await valid(label)).toBe('yes');
      expect(differences(before, listTree(copy(two)))).toEqual([]);
    } finally {
      give(two);
    }
  });

  test('a directory that is of another cluster', async () => {
    const kept = path.join(scene.pgmoneta.base, 'kept');
    renameSync(copy(two), kept);
    mkdirSync(copy(two));
    write(path.join(copy(two), 'precious'), '');
    const { first, second } = await outcomes();
    expect(first.Result).toBe('updated');
    expect(second.Problem).toMatch(/is not a data directory/);
    mkdirSync(path.join(copy(two), 'global'));
    write(path.join(copy(two), 'global', 'pg_control'), 'x'.repeat(8192));
    expect((await outcomes()).second.Problem).toMatch(/is of another cluster: its system identifier is/);
    expect(existsSync(path.join(copy(two), 'precious'))).toBe(true);
    rmSync(copy(two), { recursive: true });
    renameSync(kept, copy(two));
    await updated();
  });

  test('overrides that cannot be read; those that are not there are only warned of', async () => {
    const { pgmoneta } = scene;
    const overrides = path.join(pgmoneta.base, 'overrides');
    symlinkSync('/etc/hostname', path.join(overrides, 'link'));
    const { first, second } = await outcomes();
    expect([first.Result, second.Result]).toEqual(['failed', 'updated']);
    expect(first.Problem).toMatch(/overrides\/link .* links are not followed/);
    rmSync(path.join(overrides, 'link'));
    renameSync(overrides, `${overrides}-away`);
    await updated();
    expect(pgmoneta.logTail(60)).toContain(`hot_standby_overrides ${overrides} is not there`);
    renameSync(`${overrides}-away`, overrides);
    await proveEqual(await updated());
  });

  test('a cancelled renewal leaves the copy as it was, and the backup valid', async () => {
    const before = listTree(copy(one));
    const args = ['-c', scene.pgmoneta.configuration, '-F', 'json', 'backup', 'primary'];
    const running = scene.pgmoneta.launch('pgmoneta-cli', args);
    await until('the new copy', () => existsSync(path.join(one, '.primary.new')), { interval: 2 });
    await scene.pgmoneta.must('cancel', 'primary');
    const { Response } = JSON.parse((await running.result).stdout);
    expect(await valid(Response.Backup)).toBe('yes');
    const results = Response.HotStandby.map(({ Result }: Entry) => Result);
    expect(results[1]).toBe('failed');
    expect(Response.HotStandby[1].Problem).toMatch(/cancelled/);
    if (results[0] === 'failed') expect(differences(before, listTree(copy(one)))).toEqual([]);
    expect(readdirSync(one).sort()).toEqual(['.primary.json', 'primary']);
    // The daemon does it when it is started.
    await scene.pgmoneta.stop();
    await scene.pgmoneta.start();
    await until('the copies of the cancelled backup', async () => {
      const { Servers } = await scene.pgmoneta.must('status', 'details');
      return Servers[0].HotStandbys.every((entry: { Backup: string }) => entry.Backup === Response.Backup);
    });
    await proveEqual(Response.Backup);
  });
});

describe.runIf(canMount())('on a small file system', () => {
  let small: string;
  let unmount: () => void;
  const filler = () => path.join(small, 'filler');
  beforeAll(async () => {
    small = path.join(scene.pgmoneta.base, 'small');
    unmount = mount(small, 110);
    const spaces = `${oids.fast} -> ${small}/fast, ${oids.odd} -> ${small}/odd`;
    await reconfigure({ hot_standby: `${small}, ${two}`, hot_standby_tablespaces: spaces });
  });
  afterAll(() => unmount?.());

  /** Leaves so many megabytes free. */
  function leave(megabytes: number) {
    rmSync(filler(), { force: true });
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(filler(), Buffer.alloc(bavail * bsize - megabytes * 1024 * 1024));
  }

  test('a copy that does not fit is refused before anything is written', async () => {
    leave(20);
    const { label, first, second } = await outcomes();
    expect([first.Result, second.Result]).toEqual(['failed', 'updated']);
    expect(first.Problem).toMatch(/not enough space: \d+ MB needed for .*small.*, 20 MB free/);
    expect(readdirSync(small)).toEqual(['filler']);
    expect(await valid(label)).toBe('yes');
  });

  test('what is the same needs no space', async () => {
    rmSync(filler());
    expect((await outcomes()).first.Result).toBe('updated');
    leave(30);
    const before = inodes(copy(small));
    const { first } = await outcomes('newest');
    expect(first.Result).toBe('updated');
    expect(inodes(copy(small)).PG_VERSION).toBe(before.PG_VERSION);
    leave(10);
    const refused = await outcomes();
    expect(refused.first.Problem).toMatch(/not enough space: (1|2)\d MB needed/);
    expect(readdirSync(small).sort()).toEqual(['.primary.json', 'fast', 'filler', 'odd', 'primary']);
  });

  test('a disk that fills up in the middle leaves the old copy', async () => {
    rmSync(filler());
    await outcomes();
    const before = listTree(copy(small));
    const args = ['-c', scene.pgmoneta.configuration, '-F', 'json', 'backup', 'primary'];
    await change();
    const running = scene.pgmoneta.launch('pgmoneta-cli', args);
    await until('the new copy', () => existsSync(path.join(small, '.primary.new')), { interval: 1 });
    takeAll(filler());
    const { Response } = JSON.parse((await running.result).stdout);
    expect(await valid(Response.Backup)).toBe('yes');
    const [first, second] = Response.HotStandby;
    expect(second.Result).toBe('updated');
    // Everything may have been written by then.
    if (first.Result === 'failed') {
      expect(first.Problem).toMatch(/space/i);
      expect(differences(before, listTree(copy(small)))).toEqual([]);
    }
    expect(readdirSync(small).sort()).toEqual(['.primary.json', 'fast', 'filler', 'odd', 'primary']);
  });
});

describe('the last deletion', () => {
  test('removes what renewals made, and nothing else', async () => {
    await reconfigure({ hot_standby: `${one}, ${two}` });
    await updated();
    write(path.join(one, 'mine'), '');
    makeDirectory(path.join(one, 'other-server'));
    const spaces = Object.values({ ...tablespacesOf(copy(one)), ...tablespacesOf(copy(two)) });
    const [fast = ''] = Object.values(tablespacesOf(copy(two)));
    write(path.join(fast, 'mine'), '');
    const labels = scene.pgmoneta.backupsOnDisk();
    for (const label of labels.toReversed()) {
      expect([existsSync(copy(one)), existsSync(copy(two))]).toEqual([true, true]);
      await scene.pgmoneta.must('delete', 'primary', label);
    }
    expect(scene.pgmoneta.backupsOnDisk()).toEqual([]);
    expect(readdirSync(one).sort()).toEqual(['mine', 'other-server']);
    // A place that somebody has put something else into stays.
    expect(readdirSync(two)).toEqual(path.dirname(fast) === two ? [path.basename(fast)] : []);
    for (const space of spaces) expect(existsSync(space), space).toBe(space === fast);
    expect(readdirSync(fast)).toEqual(['mine']);
  });
});

async function reconfigure(settings: Record<string, string>) {
  const [section] = scene.pgmoneta.servers;
  if (section === undefined) throw new Error('there is no server section');
  section.settings = settings;
  await scene.reconfigure({});
}
