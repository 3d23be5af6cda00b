import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from '../../src/native/fs.js';
import { ancestorsOf } from '../../src/repository/ancestors.js';
import { type KnownBackup, listBackups } from '../../src/repository/catalogue.js';
import { serverPaths } from '../../src/repository/paths.js';
import { rollUp } from '../../src/restore/roll-up.js';
import { masterSecret } from '../support/c-repository.mjs';
import { checksumEveryTable } from '../support/compare.mjs';
import { WriteLoad } from '../support/load.mjs';
import { until } from '../support/processes.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { identity } from '../support/runtime.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { startExisting } from '../support/server.mjs';
import { combineByReferee, differences, listOf } from './stored-chain.js';

/** Summaries on; what is not meant to change stays as it is. */
const SUMMARISING = { settings: { summarize_wal: 'on', autovacuum: 'off' } };

const FORMS = [
  { compression: 'zstd', encryption: 'none' },
  { compression: 'lz4', encryption: 'aes-256-gcm' },
  { compression: 'none', encryption: 'none' },
  { compression: 'client-gzip', encryption: 'aes-256-cbc' },
] as const;

type Step = readonly string[];

/** What happens to a cluster between one backup and the next: each of these is a trap for combining. */
const STEPS: readonly Step[] = [
  // Changed, dropped, created, emptied.
  [
    'UPDATE main_table SET number = number + 1 WHERE id < 2000',
    'CREATE TABLE grows AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 4000) i',
    'CREATE TABLE idle AS SELECT i AS id, md5(i::text) AS t FROM generate_series(1, 3000) i',
    'CREATE TABLE shrinks AS SELECT i, md5(i::text) AS t FROM generate_series(1, 20000) i',
    'DROP TABLE empty_in_odd',
    'TRUNCATE parted',
  ],
  // Cut off by VACUUM, grown again with other content, within one backup and over two.
  [
    'DELETE FROM shrinks WHERE i > 5000',
    'DELETE FROM grows WHERE i > 1000',
    'VACUUM shrinks',
    'VACUUM grows',
    "INSERT INTO grows SELECT i, 'again ' || repeat(md5((-i)::text), 15) FROM generate_series(1, 2000) i",
  ],
  [
    "INSERT INTO shrinks SELECT i, 'after ' || i FROM generate_series(5001, 30000) i",
    `INSERT INTO main_table SELECT i, 'name ' || i, i, jsonb_build_object('i', i), ARRAY[i], point(i, i),
     int4range(i, i + 1), ''::bytea FROM generate_series(900001, 903000) i`,
    'DELETE FROM toasted WHERE id > 20',
    'VACUUM toasted',
  ],
  // New files for old relations.
  [
    'VACUUM FULL in_odd',
    'CLUSTER main_table USING main_table_pkey',
    'REINDEX TABLE in_fast',
    'ALTER TABLE shrinks SET TABLESPACE fast',
    'ALTER TABLE in_fast SET TABLESPACE pg_default',
  ],
  [
    'CREATE DATABASE copied TEMPLATE in_space STRATEGY file_copy',
    'CREATE DATABASE logged STRATEGY wal_log',
    'DROP DATABASE in_space',
    'ALTER TABLE unlogged_table SET LOGGED',
    'ALTER TABLE idle SET UNLOGGED',
  ],
  // More than nine tenths: the whole file is sent, above changed blocks of older backups.
  ["UPDATE grows SET t = 'all ' || t", 'ALTER TABLE idle SET LOGGED', 'VACUUM'],
  // Nothing at all.
  ['CHECKPOINT'],
  // Hint bits alone, which page checksums make WAL of.
  [
    'UPDATE in_odd SET z = z WHERE i < 1500',
    'CHECKPOINT',
    'SELECT count(*) FROM in_odd',
    'SELECT count(*) FROM main_table',
    'CHECKPOINT',
  ],
  // A file without blocks, and one that had none.
  ['DELETE FROM grows', "INSERT INTO empty_table VALUES (1, 'one')", 'VACUUM grows'],
  [
    "INSERT INTO grows SELECT i, 'third life ' || i FROM generate_series(1, 500) i",
    'UPDATE main_table SET name = name WHERE id % 100 = 1',
    'VACUUM main_table',
  ],
];

interface Taken {
  readonly label: string;
  readonly checksums: Record<string, string>;
}

/** A full backup, and an incremental one after each step, every one stored in another form. */
async function takeChain(scene: Scene, steps: readonly Step[]): Promise<Taken[]> {
  const { server } = scene;
  const first = await scene.pgmoneta.backup();
  const taken = [{ label: first, checksums: await checksumEveryTable(server) }];
  // The file of a user that only looks like one of PostgreSQL's.
  writeFileSync(path.join(server.data, 'INCREMENTAL.conf'), 'mine');
  for (const [number, step] of steps.entries()) {
    for (const statement of step) await server.sql(statement);
    const { compression, encryption } = FORMS[number % FORMS.length] as (typeof FORMS)[number];
    await scene.reconfigure({ compression, encryption });
    const checksums = await checksumEveryTable(server);
    taken.push({ label: (await scene.pgmoneta.must('backup', 'primary', 'newest')).Backup, checksums });
  }
  return taken;
}

describe.each([17, 18])('chains of PostgreSQL %i', (major) => {
  let scene: Scene;
  let taken: Taken[];

  beforeAll(async () => {
    scene = await Scene.open(major, { server: SUMMARISING });
    taken = await takeChain(scene, STEPS);
  }, 600_000);
  afterAll(() => scene?.close());

  const chain = (length: number): string[] => taken.slice(0, length + 1).map(({ label }) => label);

  test.skipIf(!referee(major)).each([1, 3, 10])(
    '%i incremental backups: byte for byte what pg_combinebackup makes of them',
    { timeout: 600_000 },
    async (length) => {
      const { label = '', checksums = {} } = taken[length] ?? {};
      const response = await scene.pgmoneta.must('restore', 'primary', label, scene.pgmoneta.restored);
      expect(response.Warnings).toBeUndefined();
      const directory = path.join(scene.pgmoneta.restored, `primary-${label}`);
      expect(readFileSync(path.join(directory, 'INCREMENTAL.conf'), 'utf8')).toBe('mine');
      expect(readFileSync(path.join(directory, 'backup_label'), 'utf8')).not.toContain('INCREMENTAL');
      const judged = await combineByReferee(scene.pgmoneta, major, chain(length));
      expect(differences(directory, judged.directory)).toEqual([]);
      rmSync(judged.root, { recursive: true, force: true });
      expect(verifyBackup(directory, major)).toMatchObject({ exit: 0 });
      expect(await proveRestored(major, directory, { checksums })).toEqual([]);
    },
  );

  test('the plan knows how large the cluster will be', async () => {
    const { label = '' } = taken.at(-1) ?? {};
    const rehearsed = await scene.pgmoneta.json('-F', 'raw', 'restore', 'primary', label, '/tmp', '--dry-run');
    const [system] = rehearsed.document.Response.FileSystems;
    const full = await scene.pgmoneta.json('-F', 'raw', 'restore', 'primary', chain(0)[0] ?? '', '/tmp', '--dry-run');
    const [before] = full.document.Response.FileSystems;
    expect(system.Needed / before.Needed).toBeGreaterThan(0.7);
    expect(system.Needed / before.Needed).toBeLessThan(2);
  });

  test('WAL is replayed on top of a chain', async () => {
    const { server } = scene;
    const { label = '' } = taken[3] ?? {};
    const at = await scene.pgmoneta.restore(label, { position: 'current,primary', options: ['--force'] });
    const restored = await startExisting(major, at);
    await until('promotion', async () => (await restored.value('SELECT pg_is_in_recovery()')) === 'f');
    expect(await checksumEveryTable(restored)).toEqual(await checksumEveryTable(server));
    await restored.remove();
  });
});

describe('rolled up', () => {
  let scene: Scene;
  let taken: Taken[];
  beforeAll(async () => {
    scene = await Scene.open(17, { server: SUMMARISING, workload: { rows: 4000 } });
    taken = await takeChain(scene, STEPS.slice(0, 5));
  }, 600_000);
  afterAll(() => scene?.close());

  /** Rolls up the backups from one down to another, and puts the result in the place of the first. */
  async function roll(newest: number, oldest: number) {
    const paths = serverPaths(scene.pgmoneta.repository, 'primary');
    const all = await listBackups(paths);
    const child = all.find(({ label }) => label === taken[newest]?.label) as KnownBackup;
    const whole = ancestorsOf(all, child, false);
    const gone = whole.slice(0, whole.findIndex(({ label }) => label === taken[oldest]?.label) + 1);
    mkdirSync(paths.staging, { recursive: true });
    const directory = path.join(paths.staging, child.label);
    const result = await rollUp({
      child,
      ancestors: gone,
      directory,
      workers: 2,
      masterSecret: masterSecret(scene.pgmoneta.home),
      signal: new AbortController().signal,
      onProgress: () => {},
    });
    const who = identity();
    if (who) execFileSync('chown', ['-R', `${who.uid}:${who.gid}`, directory]);
    await exchange(directory, child.directory);
    rmSync(directory, { recursive: true });
    for (const backup of gone) rmSync(backup.directory, { recursive: true });
    return result;
  }

  /** Restores the newest backup to a place of its own. */
  async function restored(name: string): Promise<string> {
    const directory = path.join(scene.pgmoneta.restored, name);
    return scene.pgmoneta.restore('newest', { directory });
  }

  test('what a chain leads to does not change', { timeout: 600_000 }, async () => {
    const before = await restored('before');
    const middle = await roll(3, 2);
    expect(middle.info).toMatchObject({ incremental: true, parent: taken[1]?.label });
    expect(middle.report.combined).toBeGreaterThan(100);
    expect(differences(await restored('incremental'), before)).toEqual([]);
    const whole = await roll(3, 0);
    expect(whole.info).toMatchObject({ incremental: false, parent: '' });
    const after = await restored('full');
    expect(differences(after, before)).toEqual([]);
    const { label = '', checksums = {} } = taken[3] ?? {};
    expect(listOf(scene.pgmoneta, label).Backup).toMatchObject({ kind: 'full', label });
    for (const one of [label, 'newest']) {
      const verified = await scene.pgmoneta.must('verify', 'primary', one);
      expect(verified.Files.Failed).toEqual({});
    }
    const alone = await scene.pgmoneta.restore(label, { directory: path.join(scene.pgmoneta.restored, 'alone') });
    if (referee(17)) expect(verifyBackup(alone, 17)).toMatchObject({ exit: 0 });
    expect(await proveRestored(17, alone, { checksums })).toEqual([]);
    // It is a parent like any other.
    await scene.server.sql('UPDATE main_table SET number = number + 1 WHERE id % 50 = 1');
    const next = await scene.pgmoneta.must('backup', 'primary', label);
    expect(next.IncrementalParent).toBe(label);
    const at = await scene.pgmoneta.restore(next.Backup, { directory: path.join(scene.pgmoneta.restored, 'next') });
    expect(await proveRestored(17, at, { checksums: await checksumEveryTable(scene.server) })).toEqual([]);
  });
});

describe('a chain under load', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open(17, { server: SUMMARISING, workload: { rows: 4000 } });
  });
  afterAll(() => scene?.close());

  test('tables shrink and grow while backups are taken', { timeout: 600_000 }, async () => {
    const { server, pgmoneta } = scene;
    await pgmoneta.backup();
    const load = await new WriteLoad(server, { seconds: 60, transactions: 50_000 }).start();
    await server.sql("CREATE TABLE breathes AS SELECT i, repeat('x', 500) AS t FROM generate_series(1, 20000) i");
    const breathe = async (): Promise<void> => {
      await server.sql('DELETE FROM breathes WHERE i > 3000');
      await server.sql('VACUUM breathes');
      await server.sql("INSERT INTO breathes SELECT i, repeat('y', 400) FROM generate_series(3001, 15000) i");
    };
    const labels: string[] = [];
    for (let number = 0; number < 3; number += 1) {
      const [backup] = await Promise.all([pgmoneta.must('backup', 'primary', 'newest'), breathe()]);
      labels.push(backup.Backup);
    }
    await load.stop();
    expect(load.failure).toBeUndefined();
    const directory = await pgmoneta.restore(labels.at(-1) ?? '', { position: 'current,primary' });
    const restored = await startExisting(17, directory);
    await until('promotion', async () => (await restored.value('SELECT pg_is_in_recovery()')) === 'f');
    expect(await checksumEveryTable(restored)).toEqual(await checksumEveryTable(server));
    await restored.remove();
  });
});

describe('a chain that is not whole', () => {
  let scene: Scene;
  let labels: string[];

  beforeAll(async () => {
    scene = await Scene.open(17, { server: SUMMARISING, workload: { rows: 500, tablespaces: false } });
    labels = [await scene.pgmoneta.backup()];
    for (let number = 0; number < 2; number += 1) {
      await scene.server.sql(`UPDATE main_table SET number = number + 1 WHERE id % 7 = ${number}`);
      labels.push((await scene.pgmoneta.must('backup', 'primary', 'newest')).Backup);
    }
  });
  afterAll(() => scene?.close());

  /** Restores the newest backup, which has to be refused before anything is written. */
  async function refused(): Promise<string> {
    const { exit, stderr } = await scene.pgmoneta.json('restore', 'primary', 'newest', scene.pgmoneta.restored);
    expect(exit).toBe(3);
    expect(existsSync(path.join(scene.pgmoneta.restored, `primary-${labels[2]}`))).toBe(false);
    return stderr;
  }

  /** The stored file of some relation in a backup of the chain: of one piece, so that any part of it is wanted. */
  function victim(label: string): string {
    const file = listOf(scene.pgmoneta, label).Files.find(({ BlockLength, Size }) =>
      label === labels[0] ? Size > 100_000 : BlockLength !== undefined && Size > 8192 && Size < 1024 ** 2,
    );
    return path.join(scene.pgmoneta.backupDirectory(label), file?.Stored ?? '');
  }

  test('damage in any backup of it stops the restore and names the file', async () => {
    for (const label of labels) {
      const stored = victim(label);
      const good = readFileSync(stored);
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(bad.length >> 1) ^ 1, bad.length >> 1);
      writeFileSync(stored, bad);
      const text = await refused();
      writeFileSync(stored, good);
      expect(text).toContain(stored);
      writeFileSync(stored, good.subarray(1));
      expect(await refused()).toContain(`${stored} has ${good.length - 1} bytes instead of ${good.length}`);
      writeFileSync(stored, good);
    }
    await scene.pgmoneta.restore('newest', { options: ['--force'] });
    rmSync(path.join(scene.pgmoneta.restored, `primary-${labels[2]}`), { recursive: true });
  });

  test('a middle backup that is gone is named, and what can be restored', async () => {
    const [full = '', middle = '', newest = ''] = labels;
    const directory = scene.pgmoneta.backupDirectory(middle);
    const away = path.join(scene.pgmoneta.base, 'away');
    renameSync(directory, away);
    const text = await refused();
    renameSync(away, directory);
    expect(text).toContain(`backup ${newest} needs backup ${middle}, which is not in the repository`);
    expect(text).toContain(full);
  });

  test('a parent that is another backup is noticed', async () => {
    const [full = '', middle = '', newest = ''] = labels;
    const info = path.join(scene.pgmoneta.backupDirectory(newest), 'backup.info');
    const good = readFileSync(info, 'utf8');
    writeFileSync(info, good.replace(`PARENT=${middle}`, `PARENT=${full}`));
    const text = await refused();
    writeFileSync(info, good);
    expect(text).toMatch(new RegExp(`backup ${newest} builds on a backup from .*, but backup ${full} is from`));
  });

  test('what a newer backup has again is not wanted: damage there is for verify to tell', async () => {
    const { pgmoneta, server } = scene;
    const incremental = async (): Promise<string> => (await pgmoneta.must('backup', 'primary', 'newest')).Backup;
    // New versions of rows find room in their own page, and less than nine tenths of the pages change.
    await server.sql('CREATE TABLE again (i int, t text) WITH (fillfactor = 40)');
    await server.sql('INSERT INTO again SELECT i, repeat(md5(i::text), 3) FROM generate_series(1, 20000) i');
    await server.sql('VACUUM again'); // hint bits are changes too
    await incremental();
    const change = 'UPDATE again SET t = reverse(t) WHERE i <= 12000';
    await server.sql(change);
    const middle = await incremental();
    await server.sql(change);
    const newest = await incremental();
    const checksums = await checksumEveryTable(server);

    const node = await server.value(`SELECT pg_relation_filenode('again')`);
    const file = listOf(pgmoneta, middle).Files.find(({ Path }) => Path.endsWith(`/INCREMENTAL.${node}`));
    expect(file?.Pieces?.length).toBe(Math.ceil((file?.Size ?? 0) / 1024 ** 2) * 64);
    const stored = path.join(pgmoneta.backupDirectory(middle), file?.Stored ?? '');
    const bad = readFileSync(stored);
    bad.writeUInt8(bad.readUInt8(bad.length >> 1) ^ 1, bad.length >> 1);
    writeFileSync(stored, bad);

    const directory = await pgmoneta.restore(newest);
    if (referee(17)) expect(verifyBackup(directory, 17).output).toContain('successfully verified');
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
    expect((await pgmoneta.json('verify', 'primary', middle)).exit).toBe(3);
    const refused = await pgmoneta.json('restore', 'primary', middle, pgmoneta.restored, '--force');
    expect(refused.exit).toBe(3);
    expect(refused.stderr).toContain(stored);
  });
});
