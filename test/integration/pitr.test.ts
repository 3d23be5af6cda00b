import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createMarks, type Mark, mark, marksIn, restorePoint } from '../support/marks.mjs';
import { until } from '../support/processes.mjs';
import { temporaryDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { Server, startExisting } from '../support/server.mjs';
import { caughtUp, lsnNumber, walOnDisk } from '../support/wal.mjs';
import { promoted, SERVER_SETTINGS, streaming, visible } from './pitr-scene.js';

/** A name that is a problem for everything that does not quote. */
const ODD_NAME = `it's "odd" \\ = #`;
/** A restore that has to be refused, and to leave nothing. */
async function refused(
  scene: Scene,
  position: string,
  identifier = 'newest',
): Promise<{ error: number; text: string }> {
  const { pgmoneta } = scene;
  const result = await pgmoneta.json('restore', 'primary', identifier, position, pgmoneta.restored);
  expect(result.exit, result.stdout).toBe(3);
  expect(readdirSync(pgmoneta.restored)).toEqual([]);
  const { Error: error, Message, Hint } = result.document.Outcome;
  return { error, text: `${Message}\n${Hint}` };
}

/** The same moment on another clock. */
function inZone(time: string, hours: number): string {
  const [, seconds = '', micros = ''] = /^(.{19})(\.\d{6})\+00$/.exec(time) ?? [];
  const there = new Date(Date.parse(`${seconds.replace(' ', 'T')}Z`) + hours * 3_600_000);
  return there.toISOString().slice(0, 19).replace('T', ' ') + micros;
}

describe('recovery targets', () => {
  let scene: Scene;
  const marks: Record<number, Mark> = {};
  const at = (id: number): Mark => marks[id] as Mark;
  const labels: string[] = [];
  let late: { xid: string };

  async function write(...ids: number[]): Promise<void> {
    for (const id of ids) marks[id] = await mark(scene.server, id);
  }

  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      start: false,
      server: {
        initdb: ['--wal-segsize=1'],
        // What is left of another recovery, and a clock in another place than the daemon's.
        settings: { ...SERVER_SETTINGS, timezone: 'America/New_York', recovery_target_name: 'leftover' },
      },
      settings: { compression: 'zstd', encryption: 'aes-256-gcm' },
    });
    const { server, pgmoneta } = scene;
    await pgmoneta.start({ env: { TZ: 'Asia/Kolkata' } });
    await streaming(scene);
    await server.createTablespace('place');
    await createMarks(server, 'place');
    labels.push(await pgmoneta.backup());
    await write(1, 2);
    await restorePoint(server, 'twin');
    await write(3);
    const open = await server.connect();
    await open.query(`BEGIN; INSERT INTO marks VALUES (40)`);
    late = { xid: (await open.value('SELECT pg_current_xact_id()')) as string };
    await write(4);
    await open.query('COMMIT');
    await open.end();
    await server.sql('SELECT pg_switch_wal()');
    labels.push(await pgmoneta.backup());
    await write(5);
    await restorePoint(server, ODD_NAME);
    await write(6, 7);
    await restorePoint(server, 'twin');
    await write(8);
    await server.sql('SELECT pg_switch_wal()');
    await write(9);
    await caughtUp(server, pgmoneta);
  });
  afterAll(() => scene?.close());
  afterEach(() => scene.pgmoneta.clearRestored());

  const before5 = [1, 2, 3, 4, 40];

  test('name: what came before is there, quotes and all', async () => {
    expect(await visible(scene, `name=${ODD_NAME}`)).toEqual([1, 2, 3, 4, 5, 40]);
  });

  test('name: of two, the first after the backup; the user is told of the other', async () => {
    const { pgmoneta } = scene;
    const newest = await pgmoneta.must('restore', 'primary', 'newest', 'name=twin', pgmoneta.restored, '--dry-run');
    expect(newest).toMatchObject({ Backup: labels[1] });
    expect(newest.Warnings).toBeUndefined();
    const oldest = await pgmoneta.must('restore', 'primary', 'oldest', 'name=twin', pgmoneta.restored, '--dry-run');
    expect(oldest.Backup).toBe(labels[0]);
    expect(oldest.Warnings.join()).toContain(`lsn=${newest.StopLSN}`);
    expect(await visible(scene, 'name=twin', { identifier: 'oldest' })).toEqual([1, 2]);
    expect(await visible(scene, 'name=twin')).toEqual([...before5.slice(0, 4), 5, 6, 7, 40]);
  });

  test('xid: with it or without; later ids that committed earlier count, open transactions do not', async () => {
    expect(await visible(scene, `xid=${at(4).xid}`)).toEqual([1, 2, 3, 4]);
    expect(await visible(scene, `xid=${at(4).xid},inclusive=off`)).toEqual([1, 2, 3]);
    expect(Number(late.xid)).toBeLessThan(Number(at(4).xid));
    expect(await visible(scene, `xid=${late.xid}`)).toEqual([1, 2, 3, 4, 40]);
    expect(await visible(scene, `xid=${late.xid},inclusive=off`)).toEqual([1, 2, 3, 4]);
  });

  test('lsn: exactly at the commit record, with it or without', async () => {
    expect(await visible(scene, `lsn=${at(6).commit}`)).toEqual([1, 2, 3, 4, 5, 6, 40]);
    expect(await visible(scene, `lsn=${at(6).commit},inclusive=off`)).toEqual([1, 2, 3, 4, 5, 40]);
    expect(await visible(scene, `lsn=${at(6).after},inclusive=off`)).toEqual([1, 2, 3, 4, 5, 6, 40]);
  });

  test('time: to the microsecond, with it or without, in any zone', async () => {
    expect(await visible(scene, `time=${at(6).time}`)).toEqual([1, 2, 3, 4, 5, 6, 40]);
    expect(await visible(scene, `time=${at(6).time},inclusive=off`)).toEqual([1, 2, 3, 4, 5, 40]);
    // The zone of the daemon, when none is given.
    expect(await visible(scene, `time=${inZone(at(2).time, 5.5)}`)).toEqual([1, 2]);
    expect(await visible(scene, `time=${inZone(at(2).time, -3)}-03:00,inclusive=off`)).toEqual([1]);
  });

  test('immediate: the end of the backup', async () => {
    expect(await visible(scene, 'immediate')).toEqual(before5);
    expect(await visible(scene, 'immediate', { identifier: 'oldest' })).toEqual([]);
  });

  test('current: everything, with what is in the segment that is being received', async () => {
    const partial = walOnDisk(scene.pgmoneta).find((name) => name.endsWith('.partial')) as string;
    expect((await scene.server.value(`SELECT pg_walfile_name('${at(9).commit}')`)) as string).toBe(
      partial.slice(0, 24),
    );
    expect(await visible(scene, 'current')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 40]);
    expect(await visible(scene, `xid=${at(9).xid}`)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 40]);
  });

  test('the WAL of the result is marked as archived, plain, and no more than is needed', async () => {
    const directory = await scene.pgmoneta.restore('oldest', { position: `lsn=${at(3).after}` });
    const names = readdirSync(path.join(directory, 'pg_wal')).filter((name) => /^[0-9A-F]{24}/.test(name));
    const done = readdirSync(path.join(directory, 'pg_wal/archive_status'));
    expect(done.sort()).toEqual(names.sort().map((name) => `${name}.done`));
    expect(names.every((name) => name.length === 24)).toBe(true);
    expect(names.at(-1)).toBe(await scene.server.value(`SELECT pg_walfile_name('${at(3).after}')`));
  });

  test('nothing of an old recovery target is left', async () => {
    expect(await scene.server.value('SHOW recovery_target_name')).toBe('leftover');
    const directory = await scene.pgmoneta.restore('newest', { position: `xid=${at(7).xid}` });
    const restored = await startExisting(17, directory);
    await promoted(restored);
    expect(await restored.value('SHOW recovery_target_name')).toBe('');
    await restored.remove();
  });

  describe('actions', () => {
    test('pause: readable, at the target; then it can be promoted', async () => {
      const directory = await scene.pgmoneta.restore('newest', { position: `xid=${at(6).xid},action=pause` });
      const paused = await startExisting(17, directory);
      await until('the pause', async () => (await paused.value('SELECT pg_get_wal_replay_pause_state()')) === 'paused');
      expect(await marksIn(paused)).toEqual([1, 2, 3, 4, 5, 6, 40]);
      await paused.sql('SELECT pg_wal_replay_resume()');
      await promoted(paused);
      expect(await paused.value('SELECT timeline_id FROM pg_control_checkpoint()')).toBe('2');
      await paused.remove();
    });

    test('pause: the target can be moved on, for all WAL is there', async () => {
      const directory = await scene.pgmoneta.restore('newest', { position: `xid=${at(5).xid},action=pause` });
      const settings = path.join(directory, 'postgresql.auto.conf');
      const text = readFileSync(settings, 'utf8').replace(at(5).xid, at(9).xid).replace("'pause'", "'promote'");
      writeFileSync(settings, text);
      const moved = await startExisting(17, directory);
      await promoted(moved);
      expect(await marksIn(moved)).toContain(9);
      await moved.remove();
    });

    test('promote: a new timeline', async () => {
      const directory = await scene.pgmoneta.restore('newest', { position: `xid=${at(6).xid},action=promote` });
      const restored = await startExisting(17, directory);
      await promoted(restored);
      expect(await restored.value('SELECT timeline_id FROM pg_control_checkpoint()')).toBe('2');
      await restored.remove();
    });

    test('shutdown: the server ends at the target and can be started from there', async () => {
      const directory = await scene.pgmoneta.restore('newest', { position: `xid=${at(6).xid},action=shutdown` });
      const first = new Server(17, temporaryDirectory('r'), directory, {});
      await first.start().catch(() => undefined);
      await until('the shutdown', () => !first.running);
      expect(first.logTail()).toContain('shutdown at recovery target');
      await first.remove();
      expect(existsSync(path.join(directory, 'recovery.signal'))).toBe(true);
      const second = await startExisting(17, directory, { override: { recovery_target_action: 'promote' } });
      await promoted(second);
      expect(await marksIn(second)).toEqual([1, 2, 3, 4, 5, 6, 40]);
      await second.remove();
    });
  });

  describe('the choice of the backup', () => {
    const chosen = async (identifier: string, position: string): Promise<string> => {
      const { pgmoneta } = scene;
      return (await pgmoneta.must('restore', 'primary', identifier, position, pgmoneta.restored, '--dry-run')).Backup;
    };

    test('is the newest that ends before the target, whatever the kind', async () => {
      for (const position of [`xid=${at(2).xid}`, `lsn=${at(2).commit}`, `time=${at(2).time}`]) {
        expect(await chosen('newest', position)).toBe(labels[0]);
        expect(await visible(scene, position)).toEqual([1, 2]);
      }
      for (const position of [
        `xid=${at(6).xid}`,
        `lsn=${at(6).commit}`,
        `time=${at(6).time}`,
        'current',
        'immediate',
      ]) {
        expect(await chosen('newest', position)).toBe(labels[1]);
      }
      for (const identifier of ['oldest', labels[0] as string]) {
        expect(await chosen(identifier, `lsn=${at(6).commit}`)).toBe(labels[0]);
      }
    });

    test('is not second-guessed for a label: a target before its end is refused, with what would do', async () => {
      for (const position of [`xid=${at(2).xid}`, `lsn=${at(2).commit}`, `time=${at(2).time}`]) {
        const { text } = await refused(scene, position, labels[1]);
        // A transaction that ended before the start of the backup is nowhere in the WAL that follows.
        if (position.startsWith('xid')) expect(text).toMatch(/is not reached/);
        else expect(text).toMatch(new RegExp(`before the end of backup ${labels[1]}.*${labels[0]}`, 's'));
      }
    });

    test('fails when no backup ends before the target', async () => {
      for (const position of ['lsn=0/100028', 'time=2001-01-01 00:00:00Z']) {
        expect(await refused(scene, position)).toMatchObject({
          error: 600,
          text: expect.stringContaining(`the oldest, ${labels[0]}, ends at`),
        });
      }
    });
  });

  describe('refused, with what can be reached and nothing written', () => {
    test.each(['name=nosuch', 'xid=4000000000', 'lsn=FF/0', 'time=2090-01-01 00:00:00Z'])('%s', async (position) => {
      const { text } = await refused(scene, position);
      expect(text).toMatch(/is not reached by the WAL that there is/);
      const [, from = '', to = ''] = /can be restored from (\S+) .*? to (\S+) \(its last transaction/.exec(text) ?? [];
      expect(lsnNumber(from)).toBeLessThan(lsnNumber(at(5).before));
      expect(lsnNumber(to)).toBeGreaterThanOrEqual(lsnNumber(at(9).after));
      expect(text).toContain(at(9).time.replace(/0+\+00$/, ''));
    });

    test('a segment that is missing in the middle is named; targets before it are still reached', async () => {
      const segment = (await scene.server.value(`SELECT pg_walfile_name('${at(8).commit}')`)) as string;
      const wal = path.join(scene.pgmoneta.repository, 'primary/wal');
      const file = readdirSync(wal).find((name) => name.startsWith(segment)) as string;
      renameSync(path.join(wal, file), path.join(scene.pgmoneta.base, file));
      try {
        for (const position of [`xid=${at(9).xid}`, `lsn=${at(9).after}`, `time=${at(9).time}`, 'current']) {
          const { text } = await refused(scene, position);
          expect(text).toContain(segment);
          expect(text).toMatch(/can be restored from \S+ .*? to \S+/);
        }
        expect(await visible(scene, `xid=${at(2).xid}`)).toEqual([1, 2]);
      } finally {
        renameSync(path.join(scene.pgmoneta.base, file), path.join(wal, file));
      }
    });

    test('a segment that is damaged is named; targets before it are still reached', async () => {
      const segment = (await scene.server.value(`SELECT pg_walfile_name('${at(8).commit}')`)) as string;
      const wal = path.join(scene.pgmoneta.repository, 'primary/wal');
      const file = path.join(wal, readdirSync(wal).find((name) => name.startsWith(segment)) as string);
      const bytes = readFileSync(file);
      const middle = bytes.length >> 1;
      writeFileSync(file, bytes.with(middle, (bytes[middle] ?? 0) ^ 1));
      try {
        for (const position of [`xid=${at(9).xid}`, 'current']) {
          const { text } = await refused(scene, position);
          expect(text).toContain(file);
          expect(text).toMatch(/can be restored from \S+ .*? to \S+/);
        }
        expect(await visible(scene, `xid=${at(2).xid}`)).toEqual([1, 2]);
      } finally {
        writeFileSync(file, bytes);
      }
    });

    test('an end that PostgreSQL would not keep to, and positions that make no sense', async () => {
      expect((await refused(scene, 'current,action=pause')).text).toMatch(/promotes/);
      expect((await refused(scene, 'current,timeline=7')).text).toMatch(/timeline 7 has no history file/);
      expect((await refused(scene, 'time=2026-01-31 25:00:00')).text).toMatch(/no time that a clock shows/);
    });
  });

  test('--dry-run tells everything and changes nothing', async () => {
    const { pgmoneta } = scene;
    const position = `time=${at(6).time}`;
    const plan = await pgmoneta.must('restore', 'primary', 'newest', position, `${pgmoneta.restored}/new`, '--dry-run');
    expect(plan).toMatchObject({ DryRun: true, Backup: labels[1], RecoveryTimeline: 1, TimelinePath: '1' });
    expect(plan.Choice).toContain('newest valid backup');
    expect(plan.StopTime).toBe(at(6).time.replace(/0+\+00$/, '+00'));
    expect(lsnNumber(plan.StopLSN)).toBeGreaterThanOrEqual(lsnNumber(at(6).after));
    expect(plan.FileSystems[0].Needed).toMatch(/MB$/);
    expect(existsSync(`${pgmoneta.restored}/new`)).toBe(false);
  });

  test('the command line says what to do next', async () => {
    const { stdout } = await scene.pgmoneta.cli(
      'restore',
      'primary',
      'newest',
      `xid=${at(6).xid}`,
      scene.pgmoneta.restored,
    );
    expect(stdout).toContain(`pg_ctl -D ${scene.pgmoneta.restored}/primary-${labels[1]} start`);
    expect(stdout).toMatch(/PostgreSQL 17 is restored in .* transaction \d+ .* then becomes a primary/);
    expect(stdout).toContain('pgmoneta-cli backup primary');
  });

  test('--wal=fetch: the restored server takes its WAL from the repository, with no daemon', async () => {
    const { pgmoneta } = scene;
    const options = ['--wal=fetch'];
    const some = await pgmoneta.restore('oldest', {
      position: `xid=${at(7).xid}`,
      options,
      directory: `${pgmoneta.restored}/a`,
    });
    const all = await pgmoneta.restore('oldest', { position: 'current', options, directory: `${pgmoneta.restored}/b` });
    expect(readFileSync(path.join(some, 'postgresql.auto.conf'), 'utf8')).toMatch(/restore_command = .* wal-get /);
    const own = readdirSync(path.join(some, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name));
    expect(own.length).toBeLessThan(3);
    await pgmoneta.stop();
    try {
      for (const [directory, last] of [
        [some, 7],
        [all, 9],
      ] as const) {
        const restored = await startExisting(17, directory);
        await promoted(restored);
        expect(Math.max(...(await marksIn(restored)).filter((id) => id < 40))).toBe(last);
        await restored.remove();
      }
    } finally {
      await pgmoneta.start({ env: { TZ: 'Asia/Kolkata' } });
    }
  });

  test('wal-get tells what is not there from what cannot be had', async () => {
    const { pgmoneta } = scene;
    const target = path.join(pgmoneta.base, 'fetched');
    const get = (file: string, server = 'primary') => pgmoneta.cli('wal-get', server, file, target);
    const [stored = ''] = walOnDisk(pgmoneta).filter((name) => name.endsWith('.zstd.aes'));
    for (const file of ['0000000100000000000000FF', '00000002.history', 'backup_label']) {
      expect((await get(file)).exit).toBe(1);
      expect(existsSync(target)).toBe(false);
    }
    expect((await get(stored.slice(0, 24), 'nosuch')).exit).toBe(200);
    const wrongHome = { HOME: pgmoneta.base };
    const args = ['-c', pgmoneta.configuration, 'wal-get', 'primary', stored.slice(0, 24), target];
    const locked = await pgmoneta.program('pgmoneta-cli', args, { env: wrongHome });
    expect(locked.exit).toBe(200);
    expect(locked.stderr).toContain('master key');
    expect(existsSync(target)).toBe(false);
    expect((await get(stored.slice(0, 24))).exit).toBe(0);
    expect(readFileSync(target).length).toBe(1024 * 1024);
  });

  // Stays the last: the server is gone afterwards.
  test('a server that is lost, with nothing running but the daemon: every row comes back', async () => {
    const { server, pgmoneta } = scene;
    await write(10);
    await caughtUp(server, pgmoneta);
    await server.stop('kill');
    renameSync(server.data, `${server.data}-lost`);
    await pgmoneta.kill();
    await pgmoneta.start({ env: { TZ: 'Asia/Kolkata' } });
    expect(await visible(scene, 'current')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40]);
  });
});
