import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { canMount, mount, takeAll } from '../support/disk.mjs';
import { alive, signal, until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { give } from '../support/runtime.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { startExisting, startServer } from '../support/server.mjs';

const KILLS = 10;
/** Files that every restore writes anew, whatever was there. */
const WRITTEN = /^(pg_wal\/.*|global\/pg_control|backup_label|backup_manifest|postgresql\.auto\.conf)$/;

interface Entry {
  readonly ino: number;
  readonly size: number;
  readonly mode: number;
  readonly digest: string;
}

let scene: Scene;
let full: string;
let newest: string;
/** What the tables were at each of the two backups. */
const checksums: Record<string, Record<string, string>> = {};
const random = seeded('delta restores');

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 1500 },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  const { server, pgmoneta } = scene;
  full = await pgmoneta.backup();
  checksums[full] = await checksumEveryTable(server);
  for (const statement of ['UPDATE main_table SET number = number + 1 WHERE id % 7 = 0', 'VACUUM FULL in_odd']) {
    await server.sql(statement);
    await server.sql('CHECKPOINT');
    newest = (await pgmoneta.must('backup', 'primary', 'newest')).Backup;
  }
  checksums[newest] = await checksumEveryTable(server);
});
afterAll(() => scene?.close());

/** All files of a cluster with its tablespaces, by their path in the data directory. */
function filesOf(data: string): Map<string, Entry> {
  const found = new Map<string, Entry>();
  const visit = (folder: string): void => {
    for (const name of readdirSync(path.join(data, folder))) {
      const relative = path.join(folder, name);
      const status = lstatSync(path.join(data, relative));
      if (status.isDirectory() || /^pg_tblspc\/\d+$/.test(relative)) visit(relative);
      else if (status.isFile()) {
        const digest = createHash('sha256')
          .update(readFileSync(path.join(data, relative)))
          .digest('hex');
        found.set(relative, { ino: status.ino, size: status.size, mode: status.mode, digest });
      }
    }
  };
  visit('');
  return found;
}

const contents = (files: Map<string, Entry>) =>
  Object.fromEntries([...files].map(([name, { digest, mode }]) => [name, `${mode.toString(8)} ${digest}`]));

/** A restored cluster that ran on for a while, and then got damaged. */
async function aged(name: string, identifier = newest): Promise<string> {
  const directory = path.join(scene.pgmoneta.restored, name);
  const data = await scene.pgmoneta.restore(identifier, { directory });
  const server = await startExisting(17, data);
  await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
  await server.sql('UPDATE main_table SET number = -1 WHERE id < 50');
  await server.sql('CREATE TABLE since AS SELECT i FROM generate_series(1, 1000) i');
  await server.sql('DROP TABLE toasted');
  await server.remove();
  return data;
}

/** Damages a stopped cluster in every way. */
function damage(data: string, wanted: Map<string, Entry>): void {
  const relations = [...wanted].filter(([name, { size }]) => /^(base|pg_tblspc)\/.*\/\d+$/.test(name) && size > 8192);
  const [flipped, shorter, longer, gone, linked, folder] = relations
    .map(([name]) => path.join(data, name))
    .filter((file) => existsSync(file)) as [string, string, string, string, string, string];
  const bytes = readFileSync(flipped);
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 4;
  writeFileSync(flipped, bytes);
  truncateSync(shorter, 8192);
  appendFileSync(longer, Buffer.alloc(8192));
  unlinkSync(gone);
  renameSync(linked, `${linked}.elsewhere`);
  symlinkSync(`${linked}.elsewhere`, linked);
  unlinkSync(folder);
  mkdirSync(folder);
  writeFileSync(path.join(data, 'base', 'surplus'), 'surplus');
  symlinkSync('/nowhere', path.join(data, 'log'));
  for (const file of [`${linked}.elsewhere`, folder, path.join(data, 'base', 'surplus')]) give(file);
}

const raw = async (...args: string[]) => {
  const result = await scene.pgmoneta.cli('-F', 'raw', 'restore', 'primary', ...args);
  return { ...result, document: JSON.parse(result.stdout) };
};

const FIGURES = ['Copied', 'Kept', 'New', 'Removed', 'Rewritten'].flatMap((key) => [key, `${key}Files`]);
const figures = (response: Record<string, number>) => Object.fromEntries(FIGURES.map((key) => [key, response[key]]));

describe('onto a stopped cluster', () => {
  test.each([
    ['the full backup', () => full],
    ['a chain of three', () => newest],
  ])('%s: what is right stays, the rest is written, and the plan says so before', async (_name, label) => {
    const { pgmoneta } = scene;
    pgmoneta.clearRestored();
    const identifier = label();
    const fresh = filesOf(await pgmoneta.restore(identifier, { directory: path.join(pgmoneta.restored, 'fresh') }));
    const data = await aged('old', newest);
    damage(data, fresh);
    const before = filesOf(data);
    const around = readdirSync(path.dirname(data)).sort();

    const planned = (await raw(identifier, data, '--delta', '--dry-run')).document.Response;
    const brief = (await pgmoneta.cli('restore', 'primary', identifier, data, '--delta', '--dry-run')).stdout;
    expect(brief).toMatch(/\d+ \(.*\) would stay as they are/);
    expect(brief).not.toContain('RewrittenPaths');
    expect(contents(filesOf(data))).toEqual(contents(before));
    expect(readdirSync(path.dirname(data)).sort()).toEqual(around);
    const told = (await raw(identifier, data, '--delta')).document;
    expect(told.Outcome).toMatchObject({ Status: true });
    const made = told.Response;
    expect(figures(made)).toEqual(figures(planned));
    expect(planned.RemovedPaths).toContain('base/surplus');
    expect(planned.RewrittenPaths).toContain('global/pg_control');
    expect(made.Directory).toBe(data);
    expect(made.Warnings.join()).toContain('log -> /nowhere');
    expect(readdirSync(path.dirname(data)).sort()).toEqual(around);

    const after = filesOf(data);
    expect(contents(after)).toEqual(contents(fresh));
    const kept = [...after].filter(([name, { ino }]) => before.get(name)?.ino === ino).map(([name]) => name);
    const right = [...fresh].filter(([name, { digest }]) => before.get(name)?.digest === digest && !WRITTEN.test(name));
    expect(kept.sort()).toEqual(right.map(([name]) => name).sort());
    expect(made.KeptFiles).toBe(kept.length);
    expect(made.Kept).toBe(right.reduce((sum, [, { size }]) => sum + size, 0));
    // most of the cluster is untouched, and in each of the two tablespaces something was kept
    expect(kept.length).toBeGreaterThan(fresh.size / 2);
    expect(new Set(kept.map((name) => /^pg_tblspc\/\d+/.exec(name)?.[0])).size).toBeGreaterThanOrEqual(2);
    if (referee(17)) expect(verifyBackup(data, 17)).toMatchObject({ exit: 0 });
    expect(await proveRestored(17, data, { checksums: checksums[identifier] ?? {} })).toEqual([]);
  });

  test('the server itself, with its tablespaces where they are, to the end of all WAL', async () => {
    const { pgmoneta, server } = scene;
    await server.sql('CREATE TABLE the_end AS SELECT 4711 AS n');
    const wanted = await checksumEveryTable(server);
    await server.sql('SELECT pg_switch_wal()');
    await pgmoneta.must('backup', 'primary');
    await server.stop();
    const links = readdirSync(path.join(server.data, 'pg_tblspc')).map((oid) =>
      readlinkSync(path.join(server.data, 'pg_tblspc', oid)),
    );
    writeFileSync(path.join(server.data, 'base', 'surplus'), 'surplus');
    const made = (await raw(newest, 'current', server.data, '--delta')).document;
    expect(made.Outcome).toMatchObject({ Status: true });
    expect(existsSync(path.join(server.data, 'base', 'surplus'))).toBe(false);
    expect(
      readdirSync(path.join(server.data, 'pg_tblspc')).map((oid) =>
        readlinkSync(path.join(server.data, 'pg_tblspc', oid)),
      ),
    ).toEqual(links);
    await server.start();
    await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
    expect(await checksumEveryTable(server)).toEqual(wanted);
  });
});

describe('where not everything is as usual', () => {
  test('pg_wal that was a link is inside afterwards, and what it led to is not touched', async () => {
    const { pgmoneta } = scene;
    pgmoneta.clearRestored();
    const data = await pgmoneta.restore(newest);
    const wal = path.join(pgmoneta.restored, 'wal');
    renameSync(path.join(data, 'pg_wal'), wal);
    symlinkSync(wal, path.join(data, 'pg_wal'));
    const before = readdirSync(wal).sort();
    const { Response } = (await raw(newest, data, '--delta')).document;
    expect(Response.Warnings).toEqual([expect.stringContaining(wal)]);
    expect(lstatSync(path.join(data, 'pg_wal')).isDirectory()).toBe(true);
    expect(readdirSync(wal).sort()).toEqual(before);
    expect(await proveRestored(17, data, { checksums: checksums[newest] ?? {} })).toEqual([]);
  });

  test.runIf(canMount())('there is space for what differs, though not for a second cluster', async () => {
    const { pgmoneta } = scene;
    pgmoneta.clearRestored();
    const fresh = filesOf(await pgmoneta.restore(newest));
    const sum = (files: [string, Entry][]) => files.reduce((total, [, { size }]) => total + size, 0) / 2 ** 20;
    const [all, written] = [sum([...fresh]), sum([...fresh].filter(([name]) => WRITTEN.test(name)))];
    const disk = path.join(pgmoneta.base, 'disk');
    const unmount = mount(disk, Math.ceil(all * 1.02 + written + 12));
    try {
      const data = await pgmoneta.restore(newest, { directory: disk });
      writeFileSync(path.join(data, 'PG_VERSION'), '17');
      const whole = await pgmoneta.json('restore', 'primary', newest, disk, '--force');
      expect(whole.document.Outcome.Error).toBe(601);
      const { Response } = (await raw(newest, data, '--delta')).document;
      expect(Response.RewrittenFiles).toBeLessThan(20);
      expect(contents(filesOf(data))).toEqual(contents(fresh));
      // a file that has to be written, and no space for it
      const [largest = ''] = [...fresh].sort(([, a], [, b]) => b.size - a.size).map(([name]) => name);
      truncateSync(path.join(data, largest), 8192);
      takeAll(path.join(disk, '.filler'));
      const full = await raw(newest, data, '--delta');
      expect(full.document.Outcome.Error).toBe(601);
      expect(lstatSync(path.join(data, largest)).size).toBe(8192);
      expect(readdirSync(disk).filter((name) => name.startsWith('.'))).toEqual(['.filler']);
    } finally {
      unmount();
    }
  });
});

describe('is refused', () => {
  const refused = async (data: string, ...options: string[]) => {
    const { exit, document } = await raw(newest, data, '--delta', ...options);
    expect(exit).toBe(3);
    return `${document.Outcome.Message} ${document.Outcome.Hint ?? ''}`;
  };

  test('while a server runs, which does not notice', async () => {
    const { data } = scene.server;
    const before = lstatSync(data).ino;
    expect(await refused(data)).toContain('runs in');
    expect(lstatSync(data).ino).toBe(before);
    expect(await scene.server.value('SELECT 1')).toBe('1');
  });

  test('for another cluster, with both identifiers', async () => {
    const other = await startServer(17);
    const [mine, theirs] = await Promise.all(
      [scene.server, other].map((one) => one.value('SELECT system_identifier FROM pg_control_system()')),
    );
    await other.stop();
    const message = await refused(other.data);
    expect(message).toContain(mine);
    expect(message).toContain(theirs);
    await other.start();
    await other.remove();
  });

  test('for what is no data directory, with the one that was meant', async () => {
    scene.pgmoneta.clearRestored();
    const data = await scene.pgmoneta.restore(newest);
    const message = await refused(path.dirname(data));
    expect(message).toContain('not the data directory');
    expect(message).toContain(data);
    expect(await refused(path.join(scene.pgmoneta.restored, 'absent'))).toContain('not the data directory');
  });

  test('when a tablespace shares its directory with others', async () => {
    scene.pgmoneta.clearRestored();
    const data = await scene.pgmoneta.restore(newest);
    const oid = readdirSync(path.join(data, 'pg_tblspc'))[0] as string;
    const space = readlinkSync(path.join(data, 'pg_tblspc', oid));
    mkdirSync(path.join(space, 'PG_16_202307071'));
    expect(await refused(data)).toContain('PG_16_202307071');
    const elsewhere = path.join(scene.pgmoneta.restored, 'elsewhere');
    const made = (await raw(newest, data, '--delta', '--tablespace-map', `${oid}=${elsewhere}`)).document;
    expect(made.Response.Warnings.join()).toContain(space);
    expect(readlinkSync(path.join(data, 'pg_tblspc', oid))).toBe(elsewhere);
    expect(existsSync(path.join(space, 'PG_16_202307071'))).toBe(true);
    if (referee(17)) expect(verifyBackup(data, 17)).toMatchObject({ exit: 0 });
  });
});

/** Starts a delta restore and hands over its job. */
async function launch(data: string) {
  const { pgmoneta } = scene;
  const args = ['-c', pgmoneta.configuration, '-F', 'json', 'restore', 'primary', newest, data, '--delta'];
  const started = performance.now();
  const { result } = pgmoneta.launch('pgmoneta-cli', args);
  let jobs: readonly number[] = [];
  await until('the job', () => {
    jobs = pgmoneta.jobs();
    return jobs.length > 0;
  });
  return { jobs, result, started };
}

describe('cut short', () => {
  test(`by kill -9 at ${KILLS} moments: the old cluster or the new one, and the next one works`, async () => {
    const { pgmoneta } = scene;
    pgmoneta.clearRestored();
    const fresh = filesOf(await pgmoneta.restore(newest, { directory: path.join(pgmoneta.restored, 'fresh') }));
    const data = await aged('old');
    const old = await checksumsOf(data);
    const around = readdirSync(path.dirname(data)).sort();
    const outcomes = new Set<string>();
    let whole = 3000;
    for (let round = 0; round < KILLS; round++) {
      const before = contents(filesOf(data));
      const { jobs, result, started } = await launch(data);
      const born = performance.now();
      await pause(random() * whole);
      for (const pid of jobs) signal(pid, 'SIGKILL');
      const ended = await result;
      await until('the end of the job', () => jobs.every((pid) => !alive(pid)));
      if (ended.exit === 0) whole = performance.now() - born;
      expect(performance.now() - started).toBeLessThan(60_000);
      if (existsSync(data)) {
        const now = contents(filesOf(data));
        const isNew = now.PG_VERSION !== undefined && JSON.stringify(now) !== JSON.stringify(before);
        expect(now).toEqual(isNew ? contents(fresh) : before);
        outcomes.add(isNew ? 'new' : 'old');
        if (!isNew && round === 0) expect(await checksumsOf(data)).toEqual(old);
      }
      const again = (await raw(newest, data, '--delta')).document;
      expect(again.Outcome).toMatchObject({ Status: true });
      expect(contents(filesOf(data))).toEqual(contents(fresh));
      expect(readdirSync(path.dirname(data)).sort()).toEqual(around);
      writeFileSync(path.join(data, 'base', 'surplus'), String(round));
    }
    expect(outcomes).toContain('old');
    rmSync(path.join(data, 'base', 'surplus'));
    expect(await proveRestored(17, data, { checksums: checksums[newest] ?? {} })).toEqual([]);
  });

  test('by somebody who starts the old cluster meanwhile: it runs on, and nothing is left', async () => {
    const { pgmoneta } = scene;
    pgmoneta.clearRestored();
    const data = await aged('old');
    const around = readdirSync(path.dirname(data)).sort();
    const { jobs, result } = await launch(data);
    const building = path.join(path.dirname(data), `.${path.basename(data)}.partial`);
    await until('the beginning', () => existsSync(path.join(building, 'base')), { interval: 1 });
    for (const pid of jobs) signal(pid, 'SIGSTOP');
    const server = await startExisting(17, data);
    for (const pid of jobs) signal(pid, 'SIGCONT');
    const ended = await result;
    expect(ended.exit).toBe(3);
    expect(JSON.parse(ended.stdout).Outcome.Message).toContain('was started');
    expect(await server.value('SELECT count(*) FROM since')).toBe('1000');
    await server.sql('CREATE TABLE written AS SELECT 1');
    await server.sql('CHECKPOINT');
    expect(readdirSync(path.dirname(data)).sort()).toEqual(around);
    await server.remove();
  });
});

async function checksumsOf(data: string) {
  const server = await startExisting(17, data);
  try {
    await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
    return await checksumEveryTable(server);
  } finally {
    await server.remove();
  }
}
