import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMarks, mark, marksIn } from '../support/marks.mjs';
import { until } from '../support/processes.mjs';
import { NO_REFEREES, referee } from '../support/referees.mjs';
import { give, temporaryDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { Server } from '../support/server.mjs';
import { caughtUp, walStatus } from '../support/wal.mjs';
import { promoted, SERVER_SETTINGS, streaming } from './pitr-scene.js';
import { judgeChain } from './stored-chain.js';

/** The server is replaced by a restored one, on a timeline of its own; incremental backups go on with the old parent. */
describe.each([17, 18])('a promoted cluster, PostgreSQL %i', (major) => {
  let scene: Scene;
  let second: Server | undefined;
  let before: string;
  let behind: string;
  let child: string;

  beforeAll(async () => {
    scene = await Scene.open(major, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'], settings: { ...SERVER_SETTINGS, summarize_wal: 'on' } },
    });
    const { server, pgmoneta } = scene;
    await streaming(scene);
    await createMarks(server);
    before = await pgmoneta.backup();
    await mark(server, 1);
    const fork = await mark(server, 2);
    await mark(server, 3);
    behind = await pgmoneta.backup();
    await caughtUp(server, pgmoneta);
    await server.stop('fast');
    const directory = temporaryDirectory('n');
    const data = await pgmoneta.restore(before, { position: `xid=${fork.xid}`, directory });
    second = new Server(major, temporaryDirectory('r'), data, {});
    give(second.base);
    second.port = server.port;
    await second.start();
    await promoted(second);
    await mark(second, 21);
    await until('timeline 2 being received', async () => {
      const state = await walStatus(pgmoneta);
      return state.WalReceiver === 'streaming' && state.WalTimeline === 2;
    });
  });
  afterAll(async () => {
    await second?.remove();
    await scene?.close();
  });

  test('newest is the backup that the server has come by, not the one behind the fork', async () => {
    const response = await scene.pgmoneta.must('backup', 'primary', 'newest');
    child = response.Backup;
    expect(response).toMatchObject({ Incremental: true, IncrementalParent: before });
  });

  test('by name, the backup behind the fork is refused with the way of the server', async () => {
    const { exit, stderr, document } = await scene.pgmoneta.json('backup', 'primary', behind);
    expect(exit).toBe(3);
    expect(document.Outcome.Error).toBe(200);
    expect(stderr).toMatch(
      /which the server has not come by \(its way is timeline 1 up to 0\/[0-9A-F]+, then timeline 2\)/,
    );
    expect(stderr).toContain(`the newest backup that would do is ${child}`);
  });

  test.skipIf(!referee(major))('PostgreSQL combines the chain across the timelines', async () => {
    expect(referee(major), NO_REFEREES).toBeDefined();
    const { server, remove } = await judgeChain(scene.pgmoneta, major, [before, child]);
    try {
      expect(await marksIn(server)).toEqual([1, 2, 21]);
    } finally {
      await remove();
    }
  });
});

test('a standby: incremental to its own backup, once a restart point was made', async () => {
  const settings = { ...SERVER_SETTINGS, summarize_wal: 'on' };
  const scene = await Scene.open(17, { workload: false, server: { initdb: ['--wal-segsize=1'], settings } });
  const { server, pgmoneta } = scene;
  let standby: Server | undefined;
  try {
    await streaming(scene);
    await createMarks(server);
    await pgmoneta.backup();
    const directory = temporaryDirectory('n');
    const data = await pgmoneta.restore('newest', { position: 'replica', directory });
    const conninfo = `host=${server.socketDirectory} port=${server.port} user=postgres`;
    standby = new Server(17, temporaryDirectory('r'), data, { override: { primary_conninfo: conninfo } });
    give(standby.base);
    await standby.start();
    const { name: user, password } = scene.role;
    const address = { host: '127.0.0.1', port: standby.port, user, password };
    pgmoneta.servers.push({ name: 'second', ...address, settings: { wal_slot: 'other' } });
    pgmoneta.configure();
    await pgmoneta.stop();
    await pgmoneta.start();
    const replayed = async (): Promise<void> => {
      const end = await server.value('SELECT pg_current_wal_flush_lsn()');
      await until(
        'the standby',
        async () => (await standby?.value(`SELECT pg_last_wal_replay_lsn() >= '${end}'`)) === 't',
      );
    };
    await server.sql('CHECKPOINT');
    await replayed();
    const parent = await pgmoneta.backup('second');
    // Nothing has happened since: PostgreSQL cannot tell the two apart, and says so.
    const idle = await pgmoneta.json('backup', 'second', 'newest');
    expect(idle.exit).toBe(3);
    expect(idle.stderr).toContain('on a standby: run CHECKPOINT; on its primary');
    expect(pgmoneta.stagingOnDisk('second')).toEqual([]);
    await mark(server, 1);
    await server.sql('CHECKPOINT');
    await replayed();
    await standby.sql('CHECKPOINT');
    const response = await pgmoneta.must('backup', 'second', 'newest');
    expect(response).toMatchObject({ Incremental: true, IncrementalParent: parent });
  } finally {
    await standby?.remove();
    await scene.close();
  }
});
