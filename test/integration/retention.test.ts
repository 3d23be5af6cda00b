import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LockHandle } from '../../src/native/fs.js';
import { leaseBackups, readerOf } from '../../src/repository/leases.js';
import { lock } from '../../src/repository/locks.js';
import { leasePath, serverPaths } from '../../src/repository/paths.js';
import { cloneBackup, daysAgo, repositoryProblems } from '../support/history.mjs';
import { signal, until } from '../support/processes.mjs';
import { give } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { walOnDisk } from '../support/wal.mjs';

/** A template backup, and a past that is made of it: what retention decides is the same as with real ones. */

let scene: Scene;
let template: string;
const HOUR = 3600;

beforeAll(async () => {
  // The look of the daemon by itself comes first after this many seconds; tests that want it set another.
  scene = await Scene.open(17, {
    workload: { rows: 500 },
    settings: { retention: '7', retention_interval: 24 * HOUR },
  });
  template = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());

/** Leaves the template alone. */
async function forget(): Promise<void> {
  const { pgmoneta } = scene;
  for (const label of pgmoneta.backupsOnDisk().toReversed()) {
    if (label !== template) rmSync(pgmoneta.backupDirectory(label), { recursive: true });
  }
}
afterEach(forget);

const past = (days: number, more: object = {}): string =>
  cloneBackup(scene.pgmoneta, template, { time: daysAgo(days), ...more });

/** What restores to the last seven days begin with: everything older may go. */
const base = (): string => past(8);

interface Entry {
  Backup: string;
  Action: string;
  Reason: string;
  Freed?: string;
}

async function expire(...args: string[]): Promise<{ Backups: Entry[]; NumberOfRemoved: number; Freed: string }> {
  const { Servers } = await scene.pgmoneta.must('expire', ...args);
  expect(Servers).toHaveLength(1);
  return Servers[0];
}

const actions = ({ Backups }: { Backups: Entry[] }): Record<string, string> =>
  Object.fromEntries(Backups.map(({ Backup, Action }) => [Backup, Action]));

describe('expire --dry-run', () => {
  test('says for every backup what becomes of it and why, and changes nothing', async () => {
    const old = past(20);
    const retained = past(15, { keep: true });
    const damaged = past(9, { valid: false });
    const begin = base();
    const young = past(3);
    const before = scene.pgmoneta.backupsOnDisk();
    const plan = await expire('primary', '--dry-run');
    expect(plan.Backups.map(({ Backup, Action, Reason }) => [Backup, Action, Reason])).toEqual([
      [old, 'remove', 'older than 7 days'],
      [retained, 'keep', 'retained'],
      [damaged, 'remove', 'not valid, and older than 7 days'],
      [begin, 'keep', 'restores to the last 7 days begin with it'],
      [young, 'keep', 'younger than 7 days'],
      [template, 'keep', 'younger than 7 days'],
    ]);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual(before);
    const { stdout } = await scene.pgmoneta.cli('expire', '--dry-run');
    expect(stdout).toContain('Reason: older than 7 days');
  });

  test('tells what the disk gets back: shared files give back nothing', async () => {
    const own = past(30, { copy: true });
    const shared = past(20);
    base();
    const raw = JSON.parse((await scene.pgmoneta.cli('-F', 'raw', 'expire', 'primary', '--dry-run')).stdout);
    const sizes = Object.fromEntries(
      raw.Response.Servers[0].Backups.map(({ Backup, Freed }: { Backup: string; Freed?: number }) => [Backup, Freed]),
    );
    expect(sizes[own]).toBeGreaterThan(1_000_000);
    // Directories, and three descriptions of its own.
    expect(sizes[shared]).toBeLessThan((sizes[own] as number) / 2);
    const du = (): number =>
      Number.parseInt(
        execFileSync('du', ['-s', '-B1', path.join(scene.pgmoneta.repository, 'primary', 'backup')], {
          encoding: 'utf8',
        }),
        10,
      );
    const before = du();
    const done = JSON.parse((await scene.pgmoneta.cli('-F', 'raw', 'expire', 'primary')).stdout).Response.Servers[0];
    // The directory that held them may shrink as well.
    expect(Math.abs(before - du() - done.Freed)).toBeLessThanOrEqual(4096);
    expect(done.Freed).toBe(raw.Response.Servers[0].Freed);
    expect(done.NumberOfRemoved).toBe(2);
  });
});

describe('expire', () => {
  test('removes what the plan says, logs every removal with its reason, and leaves the rest whole', async () => {
    const { pgmoneta } = scene;
    const [a, b, c, begin, d] = [past(40), past(30), past(20), base(), past(2)];
    const done = await expire('primary');
    expect(done.NumberOfRemoved).toBe(3);
    expect(pgmoneta.backupsOnDisk()).toEqual([begin, d, template]);
    for (const label of [a, b, c]) {
      expect(pgmoneta.logTail(400)).toContain(`deleted backup ${label} of primary: expired: older than 7 days`);
    }
    expect(repositoryProblems(pgmoneta)).toEqual([]);
    expect((await pgmoneta.must('verify', 'primary', d as string)).Files.Failed).toEqual({});
    expect((await expire('primary')).NumberOfRemoved).toBe(0);
    expect(readdirSync(path.join(pgmoneta.repository, 'primary', '.trash'))).toEqual([]);
  });

  test('keeps the newest of each week and month', async () => {
    const { pgmoneta } = scene;
    await pgmoneta.must('conf', 'set', 'retention', '2,4,3');
    try {
      const labels = Array.from({ length: 60 }, (_, n) => past(60 - n));
      const plan = await expire('primary', '--dry-run');
      const kept = plan.Backups.filter(({ Action }) => Action === 'keep');
      expect(kept.length).toBeGreaterThanOrEqual(5);
      expect(kept.length).toBeLessThanOrEqual(10);
      expect(kept.some(({ Reason }) => Reason.includes('newest of week'))).toBe(true);
      expect(kept.some(({ Reason }) => Reason.includes('newest of month'))).toBe(true);
      const done = await expire('primary');
      expect(actions(done)).toEqual(actions(plan));
      expect(pgmoneta.backupsOnDisk()).toEqual(kept.map(({ Backup }) => Backup));
      expect(labels.length).toBe(60);
    } finally {
      await pgmoneta.must('conf', 'set', 'retention', '7');
    }
  });

  test('keeps chains whole, and takes them away from their ends', async () => {
    const { pgmoneta } = scene;
    const full = past(30);
    const one = past(29, { parent: full });
    const two = past(28, { parent: one });
    const three = past(27, { parent: two, keep: true });
    base();
    expect(actions(await expire('primary'))).toMatchObject({
      [full]: 'keep',
      [one]: 'keep',
      [two]: 'keep',
      [three]: 'keep',
    });
    const plan = await expire('primary', '--dry-run');
    expect(plan.Backups.find(({ Backup }) => Backup === one)?.Reason).toBe(`child ${two} needs it`);
    await pgmoneta.must('expunge', 'primary', three);
    expect((await expire('primary')).NumberOfRemoved).toBe(4);
    const log = pgmoneta.logTail(400);
    const places = [three, two, one, full].map((label) => log.lastIndexOf(`deleted backup ${label} `));
    expect(places).toEqual(places.toSorted((x, y) => x - y));
    expect(places[0]).toBeGreaterThan(0);
  });

  test('never takes the last valid backup', async () => {
    const { pgmoneta } = scene;
    const aside = `${pgmoneta.base}/aside`;
    const last = past(100);
    past(50, { valid: false });
    execFileSync('mv', [pgmoneta.backupDirectory(template), aside]);
    try {
      const plan = await expire('primary');
      expect(plan.Backups.find(({ Backup }) => Backup === last)).toMatchObject({
        Action: 'keep',
        Reason: 'restores to the last 7 days begin with it',
      });
      expect(pgmoneta.backupsOnDisk()).toEqual([last]);
      execFileSync('rm', ['-r', pgmoneta.backupDirectory(last)]);
      const damaged = cloneBackupFrom(aside);
      expect((await expire('primary')).NumberOfRemoved).toBe(0);
      expect(pgmoneta.backupsOnDisk()).toEqual([damaged]);
    } finally {
      execFileSync('mv', [aside, pgmoneta.backupDirectory(template)]);
    }
  });

  test('leaves a backup that is being read, and what it builds upon', async () => {
    const { pgmoneta } = scene;
    const full = past(30);
    const child = past(29, { parent: full });
    const other = past(28);
    base();
    const lease = await holdLease(child);
    try {
      const done = await expire('primary');
      expect(actions(done)).toMatchObject({ [full]: 'keep', [child]: 'keep', [other]: 'remove' });
      expect(done.Backups.find(({ Backup }) => Backup === child)?.Reason).toMatch(
        /^restore of primary \(PID \d+\) has been reading it since/,
      );
      const refused = await pgmoneta.json('delete', 'primary', child);
      expect(refused.document.Outcome).toMatchObject({ Error: 503, Retryable: true });
      expect(refused.stderr).toContain('restore of primary');
      expect((await pgmoneta.json('delete', 'primary', child, '--dry-run')).document.Outcome.Error).toBe(503);
    } finally {
      lease.release();
    }
    expect((await expire('primary')).NumberOfRemoved).toBe(2);
  });

  test('leaves a backup that is being restored, and takes it afterwards; the restore is whole', async () => {
    const { pgmoneta } = scene;
    const [restored, other, begin] = [past(30, { copy: true }), past(20), base()];
    const paths = serverPaths(pgmoneta.repository, 'primary');
    const arguments_ = ['-c', pgmoneta.configuration, 'restore', 'primary', restored, pgmoneta.restored];
    const running = pgmoneta.launch('pgmoneta-cli', arguments_);
    await until('the lease of the restore', () => readerOf(paths, restored), { interval: 5 });
    const jobs = pgmoneta.jobs();
    for (const pid of jobs) signal(pid, 'SIGSTOP');
    try {
      expect(actions(await expire('primary'))).toMatchObject({ [restored]: 'keep', [other]: 'remove' });
      expect(pgmoneta.backupsOnDisk()).toEqual([restored, begin, template]);
      expect((await pgmoneta.json('delete', 'primary', restored)).document.Outcome.Error).toBe(503);
    } finally {
      for (const pid of jobs) signal(pid, 'SIGCONT');
    }
    expect(await running.result).toMatchObject({ exit: 0 });
    expect((await expire('primary')).NumberOfRemoved).toBe(1);
    pgmoneta.clearRestored();
  });

  test('of all servers, by default and by name; an unknown one is refused', async () => {
    past(20);
    base();
    expect((await scene.pgmoneta.must('expire', 'all', '--dry-run')).Servers).toHaveLength(1);
    expect((await expire()).NumberOfRemoved).toBe(1);
    const refused = await scene.pgmoneta.json('expire', 'nosuch');
    expect(refused.exit).toBe(3);
    expect(refused.document.Outcome.Error).toBe(2305);
    expect(refused.stderr).toContain("server 'nosuch' is not in the configuration");
  });

  test('is refused while a backup is taken, and says so; a rehearsal is not', async () => {
    const { pgmoneta } = scene;
    const label = past(20);
    base();
    const { writerLock } = serverPaths(pgmoneta.repository, 'primary');
    const writer = await lock(writerLock, 'exclusive', 'backup of primary', 'BACKUP_ACTIVE');
    give(writerLock);
    try {
      const refused = await pgmoneta.json('expire', 'primary');
      expect(refused.exit).toBe(3);
      expect(refused.document.Outcome).toMatchObject({ Error: 503, Retryable: true });
      expect(refused.stderr).toMatch(/backup of primary \(PID \d+\) has been running since/);
      expect(actions(await expire('primary', '--dry-run'))).toMatchObject({ [label]: 'remove' });
    } finally {
      writer.release();
    }
    expect((await expire('primary')).NumberOfRemoved).toBe(1);
  });
});

describe('delete --dry-run', () => {
  test('tells what would be given back and changes nothing', async () => {
    const label = past(3, { copy: true });
    const result = await scene.pgmoneta.must('delete', 'primary', label, '--dry-run');
    expect(result).toMatchObject({ Backup: label, DryRun: true });
    expect(result.Freed).toMatch(/MB$/);
    expect(existsSync(scene.pgmoneta.backupDirectory(label))).toBe(true);
    const retained = past(4, { keep: true });
    expect((await scene.pgmoneta.json('delete', 'primary', retained, '--dry-run')).document.Outcome.Error).toBe(506);
    const done = await scene.pgmoneta.must('delete', 'primary', label);
    expect(done.Freed).toBe(result.Freed);
    expect(done.DryRun).toBeUndefined();
  });
});

describe('WAL', () => {
  /** The segments, in whatever form: they get their kept one behind the stream. */
  const segmentsOnDisk = (): string[] => [
    ...new Set(
      walOnDisk(scene.pgmoneta)
        .filter((name) => /^[0-9A-F]{24}/.test(name))
        .map((name) => name.slice(0, 24)),
    ),
  ];

  test('that nothing needs any more is announced by the rehearsal, and goes', async () => {
    const { pgmoneta, server } = scene;
    const first = await pgmoneta.backup();
    for (let n = 0; n < 3; n++)
      await server.sql('SELECT pg_logical_emit_message(true, $$t$$, $$x$$); SELECT pg_switch_wal()');
    const second = await pgmoneta.backup();
    // Files are counted: a segment that gets its kept form has two for a moment.
    await until('the WAL at rest', () => !walOnDisk(pgmoneta).some((name) => /^[0-9A-F]{24}$/.test(name)));
    const names = segmentsOnDisk();
    execFileSync('mv', [pgmoneta.backupDirectory(template), `${pgmoneta.base}/aside`]);
    try {
      const rehearsal = await pgmoneta.must('delete', 'primary', first, '--dry-run');
      expect(rehearsal.WalFiles).toBeGreaterThanOrEqual(3);
      expect(rehearsal.WalFreed).toMatch(/[kM]B$/);
      expect(segmentsOnDisk()).toEqual(expect.arrayContaining(names));
      const done = await pgmoneta.must('delete', 'primary', first);
      expect(done.WalFiles).toBe(rehearsal.WalFiles);
      const left = new Set(segmentsOnDisk());
      expect(names.filter((name) => !left.has(name))).toHaveLength(done.WalFiles);
      expect((await pgmoneta.must('verify', 'primary', second)).Files.Failed).toEqual({});
    } finally {
      execFileSync('mv', [`${pgmoneta.base}/aside`, pgmoneta.backupDirectory(template)]);
    }
  });
});

describe('by itself', () => {
  afterAll(() => scene.reconfigure({ retention_interval: 24 * HOUR }));

  test('the daemon with its one server removes what has expired, offline too, again and again', async () => {
    const { pgmoneta } = scene;
    const first = past(20);
    const begin = base();
    const kept = past(1);
    await scene.reconfigure({ retention_interval: 1 });
    await until('the first expiry', () => !pgmoneta.backupsOnDisk().includes(first), { timeout: 30_000 });
    await pgmoneta.must('mode', 'primary', 'offline');
    const second = past(20);
    await until('the second expiry', () => !pgmoneta.backupsOnDisk().includes(second), { timeout: 30_000 });
    await pgmoneta.must('mode', 'primary', 'online');
    expect(pgmoneta.backupsOnDisk()).toEqual([begin, kept, template]);
    expect(pgmoneta.logTail(400)).toContain('expiry of primary: 1 backups removed');
  });

  test('a backup in the way is waited for, and the expiry comes after it', async () => {
    const { pgmoneta } = scene;
    const labels = [past(20), past(21)];
    base();
    await pgmoneta.backup();
    await until('the expiry', () => labels.every((label) => !pgmoneta.backupsOnDisk().includes(label)), {
      timeout: 90_000,
    });
  });

  test('a failure does not end it', async () => {
    const { pgmoneta } = scene;
    const trash = path.join(pgmoneta.repository, 'primary', '.trash');
    rmSync(trash, { recursive: true, force: true });
    execFileSync('touch', [trash]);
    const label = past(20);
    base();
    await until('the error', () => pgmoneta.logTail(400).includes('expiry of primary failed'), { timeout: 30_000 });
    expect(pgmoneta.backupsOnDisk()).toContain(label);
    rmSync(trash);
    await until('the expiry', () => !pgmoneta.backupsOnDisk().includes(label), { timeout: 30_000 });
  });
});

/** A damaged backup in the place of all others, made of a directory. */
function cloneBackupFrom(directory: string): string {
  const { pgmoneta } = scene;
  execFileSync('cp', ['-a', '--link', directory, pgmoneta.backupDirectory(template)]);
  const label = past(40, { valid: false });
  rmSync(pgmoneta.backupDirectory(template), { recursive: true });
  return label;
}

/** Reads a backup as a restore does. */
async function holdLease(label: string): Promise<LockHandle> {
  const paths = serverPaths(scene.pgmoneta.repository, 'primary');
  const lease = await leaseBackups(paths, [label], 'restore of primary', 'RESTORE_ACTIVE');
  give(leasePath(paths, label));
  return lease;
}
