import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { canMount, mount } from '../support/disk.mjs';
import { until } from '../support/processes.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { give, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { startExisting } from '../support/server.mjs';
import { copyCluster, differences, listTree, tablespacesOf } from '../support/trees.mjs';

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
    workload: { rows: 3000 },
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
      const label = await updated(...(kind === 'full' ? [] : ['newest']));
      await proveEqual(label);
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
