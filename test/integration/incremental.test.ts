import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { WriteLoad } from '../support/load.mjs';
import { until } from '../support/processes.mjs';
import { NO_REFEREES, referee } from '../support/referees.mjs';
import { Scene } from '../support/scene.mjs';
import { judgeChain, listOf } from './stored-chain.js';

const SUMMARISING = { settings: { summarize_wal: 'on', autovacuum: 'off' } };

/** Takes an incremental backup; gives the reply. */
function incremental(scene: Scene, parent: string, ...flags: string[]) {
  return scene.pgmoneta.must('backup', 'primary', parent, ...flags);
}

/** A backup that has to be refused: the message and the hint. */
async function refused(scene: Scene, ...args: string[]): Promise<{ error: number; text: string; hint: string }> {
  const { exit, document, stderr } = await scene.pgmoneta.json('backup', 'primary', ...args);
  expect(exit, JSON.stringify(document)).toBe(3);
  expect(scene.pgmoneta.stagingOnDisk()).toEqual([]);
  return { error: document.Outcome.Error, text: stderr, hint: stderr };
}

const backup = (scene: Scene, label: string, ...parts: string[]) =>
  path.join(scene.pgmoneta.backupDirectory(label), ...parts);

describe.each([17, 18])('incremental backups of PostgreSQL %i', (major) => {
  let scene: Scene;
  let full: string;
  let first: string;
  let second: string;
  let side: string;
  /** What the source held when the newest of each chain was taken. */
  let afterSecond: Record<string, string>;
  let afterSide: Record<string, string>;

  beforeAll(async () => {
    scene = await Scene.open(major, { server: SUMMARISING });
    const { server } = scene;
    full = await scene.pgmoneta.backup();
    const load = await new WriteLoad(server, { seconds: 20, transactions: 2000 }).start();
    await server.sql(`
      UPDATE main_table SET number = number + 1 WHERE id < 2000;
      DROP TABLE empty_in_odd;
      TRUNCATE parted;
      CREATE TABLE later TABLESPACE fast AS SELECT i, md5(i::text) FROM generate_series(1, 5000) i;
    `);
    await scene.reconfigure({ compression: 'lz4', encryption: 'aes-256-gcm' });
    first = (await incremental(scene, 'newest')).Backup;
    await load.stop();
    expect(load.failure).toBeUndefined();
    await server.sql('DELETE FROM toasted WHERE id > 20');
    await server.sql('VACUUM toasted');
    await server.sql('VACUUM FULL in_odd');
    await server.sql(`CREATE DATABASE copied TEMPLATE in_space STRATEGY file_copy`);
    await server.sql(`CREATE DATABASE logged STRATEGY wal_log`);
    await server.sql('ALTER TABLE later SET TABLESPACE pg_default');
    await scene.reconfigure({ compression: 'none', encryption: 'none' });
    second = (await incremental(scene, 'latest')).Backup;
    afterSecond = await checksumEveryTable(server);
    await server.sql('UPDATE in_fast SET t = t || t WHERE id % 100 = 1');
    await scene.reconfigure({ compression: 'zstd', encryption: 'none' });
    side = (await incremental(scene, full)).Backup;
    afterSide = await checksumEveryTable(server);
  });
  afterAll(() => scene?.close());

  test('list-backup, info and backup.info tell the parent', async () => {
    const { Backups } = await scene.pgmoneta.must('list-backup', 'primary');
    const parents = Backups.map((entry: Record<string, unknown>) => [
      entry.Backup,
      entry.Incremental,
      entry.IncrementalParent,
    ]);
    expect(parents).toEqual([
      [full, false, null],
      [first, true, full],
      [second, true, first],
      [side, true, full],
    ]);
    const info = await scene.pgmoneta.must('info', 'primary', second);
    expect(info).toMatchObject({ Incremental: true, IncrementalParent: first, Valid: 'yes' });
    const text = await scene.pgmoneta.cli('info', 'primary', side);
    expect(text.stdout).toMatch(/Incremental: true\n.*IncrementalParent: \d{14}\n/);
    expect(readFileSync(backup(scene, side, 'backup.info'), 'utf8')).toContain(`\nTYPE=1\nPARENT=${full}\n`);
    expect(listOf(scene.pgmoneta, side).Backup).toMatchObject({ kind: 'incremental', parent: full });
    expect(listOf(scene.pgmoneta, full).Backup.kind).toBe('full');
  });

  test('they hold changed blocks, and know how large the restored cluster will be', async () => {
    const sizes = await scene.pgmoneta.json('-F', 'raw', 'list-backup', 'primary');
    const [whole, ...parts] = sizes.document.Response.Backups;
    for (const part of parts) {
      expect(part.RestoreSize / whole.RestoreSize).toBeGreaterThan(0.8);
    }
    const { Files } = listOf(scene.pgmoneta, second);
    const blocks = Files.filter((file) => file.BlockLength !== undefined);
    expect(blocks.length).toBeGreaterThan(100);
    const held = blocks.reduce((sum, file) => sum + file.Size, 0);
    const made = blocks.reduce((sum, file) => sum + (file.BlockLength ?? 0) * 8192, 0);
    expect(held).toBeLessThan(made / 2);
    expect(blocks.every((file) => path.basename(file.Path).startsWith('INCREMENTAL.'))).toBe(true);
    const database = await scene.server.value("SELECT oid FROM pg_database WHERE datname = 'postgres'");
    const [oid, size] = (
      await scene.server.sql("SELECT pg_relation_filenode('main_table'), pg_relation_size('main_table')")
    )[0] as string[];
    const main = Files.find((file) => file.Path === `base/${database}/INCREMENTAL.${oid}`);
    expect((main?.BlockLength ?? 0) * 8192).toBe(Number(size));
  });

  test('unchanged whole files are links to the parent when they are stored alike', async () => {
    const again = (await incremental(scene, 'newest')).Backup;
    const linked = listOf(scene.pgmoneta, again).Files.filter((file) => file.Linked !== undefined);
    expect(linked.every((file) => file.Linked === side)).toBe(true);
    const names = linked.map((file) => file.Path);
    expect(names).toContain('PG_VERSION');
    for (const { Stored } of linked) {
      expect(statSync(backup(scene, again, Stored)).ino).toBe(statSync(backup(scene, side, Stored)).ino);
    }
    const next = await scene.pgmoneta.backup();
    // A full backup links to the last full one: the incremental ones have changed blocks only.
    const whole = listOf(scene.pgmoneta, next).Files.filter((file) => file.Linked !== undefined);
    expect(whole.every((file) => file.Linked === full)).toBe(true);
    expect(whole.length).toBeGreaterThan(500);
  });

  test('verify proves them as they are stored, and finds damage', async () => {
    for (const label of [first, second, side]) {
      const verified = await scene.pgmoneta.must('verify', 'primary', label);
      expect(verified.Files.Failed, label).toEqual({});
    }
    const { Files } = listOf(scene.pgmoneta, second);
    const victim = Files.find((file) => file.BlockLength !== undefined && file.Size > 8192)?.Stored ?? '';
    const stored = backup(scene, second, victim);
    const good = readFileSync(stored);
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(9000) ^ 1, 9000);
    writeFileSync(stored, bad);
    const { exit } = await scene.pgmoneta.json('verify', 'primary', second);
    writeFileSync(stored, good);
    expect(exit).toBe(3);
  });

  test.skipIf(!referee(major))('PostgreSQL accepts and combines every chain', { timeout: 600_000 }, async () => {
    expect(referee(major), NO_REFEREES).toBeDefined();
    for (const [labels, expected] of [
      [[full, first, second], afterSecond],
      [[full, side], afterSide],
    ] as const) {
      const { server, remove } = await judgeChain(scene.pgmoneta, major, labels);
      try {
        expect(await checksumEveryTable(server)).toEqual(expected);
      } finally {
        await remove();
      }
    }
  });
});

describe('what stands in the way', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: { rows: 500, tablespaces: false },
      server: { settings: { autovacuum: 'off' } },
    });
  });
  afterAll(() => scene?.close());

  const setting = async (value: string): Promise<void> => {
    await scene.server.sql(`ALTER SYSTEM SET summarize_wal = ${value}`);
    await scene.server.sql('SELECT pg_reload_conf()');
    await until('the setting', async () => (await scene.server.value('SHOW summarize_wal')) === value);
  };
  const summaries = () => path.join(scene.server.data, 'pg_wal', 'summaries');

  test('summarize_wal = off: the remedy, before anything is written', async () => {
    await scene.pgmoneta.backup();
    const { text } = await refused(scene, 'newest');
    expect(text).toContain('server primary has summarize_wal = off');
    expect(text).toContain('ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();');
  });

  test('--or-full takes a full backup then, and says so', async () => {
    const response = await incremental(scene, 'newest', '--or-full');
    expect(response).toMatchObject({ Incremental: false, IncrementalParent: null });
    expect(scene.pgmoneta.logTail(20)).toContain('a full one is taken, no incremental one is possible');
  });

  test('switched on, it summarises the WAL that is still there: the backup before will do', async () => {
    const before = scene.pgmoneta.backupsOnDisk().at(-1);
    await setting('on');
    const response = await incremental(scene, 'newest');
    expect(response).toMatchObject({ Incremental: true, IncrementalParent: before });
  });

  test('summaries that are gone are noticed before the stream, and named', async () => {
    const parent = scene.pgmoneta.backupsOnDisk().at(-1) ?? '';
    await scene.server.sql('CREATE TABLE a AS SELECT generate_series(1, 1000) i');
    await scene.server.sql('CHECKPOINT');
    const start = readFileSync(backup(scene, parent, 'backup.info'), 'utf8').match(/^START_WALPOS=(.*)$/m)?.[1];
    await until('a summary that begins at the backup', async () => {
      return (
        (await scene.server.value(
          `SELECT count(*) FROM pg_available_wal_summaries() WHERE start_lsn >= '${start}'`,
        )) !== '0'
      );
    });
    for (const name of readdirSync(summaries())) rmSync(path.join(summaries(), name));
    const { text } = await refused(scene, 'newest');
    expect(text).toContain(`no summaries of its WAL from ${start} to `);
    expect(text).toContain('wal_summary_keep_time (10d on the server)');
    // The full one that is taken instead is a parent again.
    expect((await incremental(scene, 'newest', '--or-full')).Incremental).toBe(false);
    expect((await incremental(scene, 'newest')).Incremental).toBe(true);
  });

  test('a label that is not there, one that is not valid, and a damaged manifest', async () => {
    const { pgmoneta } = scene;
    const newest = pgmoneta.backupsOnDisk().at(-1) ?? '';
    const before = pgmoneta.backupsOnDisk().at(-2) ?? '';
    const unknown = await refused(scene, '20010101000000');
    expect(unknown.error).toBe(103);
    expect(unknown.text).toContain(`the newest backup that would do is ${newest}`);
    const manifest = backup(scene, newest, 'data', 'backup_manifest');
    const good = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, good.replace('"Size": 3,', '"Size": 4,'));
    const damaged = await refused(scene, newest);
    expect(damaged.text).toContain(manifest);
    // The newest that can be built on is the one before, and the log says why.
    expect((await incremental(scene, 'newest')).IncrementalParent).toBe(before);
    expect(pgmoneta.logTail(30)).toContain(`backup ${newest} cannot be built on`);
    writeFileSync(manifest, good);
    const info = backup(scene, newest, 'backup.info');
    writeFileSync(info, readFileSync(info, 'utf8').replace('STATUS=1', 'STATUS=0'));
    const invalid = await refused(scene, newest);
    expect(invalid.error).toBe(200);
    expect(invalid.text).toContain(
      `backup ${newest} of primary cannot be the parent of an incremental backup: it is not valid`,
    );
  });

  test('no backup at all', async () => {
    for (const label of scene.pgmoneta.backupsOnDisk().reverse())
      await scene.pgmoneta.must('delete', 'primary', label, '--force');
    const { error, text } = await refused(scene, 'latest');
    expect(error).toBe(103);
    expect(text).toContain('take a full backup first: pgmoneta-cli backup primary');
  });
});

test('PostgreSQL 16 cannot: full backups are the way', async () => {
  const scene = await Scene.open(16, { workload: false });
  try {
    await scene.pgmoneta.backup();
    const { text } = await refused(scene, 'newest');
    expect(text).toContain('incremental backups need PostgreSQL 17 or newer');
    expect(text).toContain('take a full backup: pgmoneta-cli backup primary');
  } finally {
    await scene.close();
  }
});
