import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createMarks, type Mark, mark, marksIn, restorePoint } from '../support/marks.mjs';
import { until } from '../support/processes.mjs';
import { give, temporaryDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { Server, startExisting } from '../support/server.mjs';
import { caughtUp, walStatus } from '../support/wal.mjs';
import { promoted, SERVER_SETTINGS, streaming, visible } from './pitr-scene.js';

describe.each([
  [14, { compression: 'none' }],
  [15, { compression: 'lz4', encryption: 'aes-128-ctr' }],
  [16, { compression: 'gzip', encryption: 'aes-256-cbc' }],
  [18, { compression: 'none', encryption: 'aes-192-gcm' }],
] as const)('PostgreSQL %i', (major, settings) => {
  let scene: Scene;
  const marks: Mark[] = [];

  beforeAll(async () => {
    scene = await Scene.open(major, {
      workload: false,
      settings,
      server: { initdb: ['--wal-segsize=1'], settings: SERVER_SETTINGS },
    });
    await streaming(scene);
    await createMarks(scene.server);
    await scene.pgmoneta.backup();
    for (const id of [0, 1, 2]) marks.push(await mark(scene.server, id));
    await restorePoint(scene.server, 'here');
    marks.push(await mark(scene.server, 3));
    await caughtUp(scene.server, scene.pgmoneta);
  });
  afterAll(() => scene?.close());

  test('goes to a name, a transaction, a time, an LSN, and to the end', async () => {
    const [, one, two] = marks as [Mark, Mark, Mark];
    expect(await visible(scene, 'name=here')).toEqual([0, 1, 2]);
    expect(await visible(scene, `xid=${two.xid},inclusive=off`)).toEqual([0, 1]);
    expect(await visible(scene, `time=${one.time}`)).toEqual([0, 1]);
    expect(await visible(scene, `lsn=${one.commit},inclusive=off`)).toEqual([0]);
    expect(await visible(scene, 'current')).toEqual([0, 1, 2, 3]);
    expect(await visible(scene, 'immediate')).toEqual([]);
  });
});

describe('other places to be', () => {
  test('a restore while WAL comes in and segments are stored has every row that was safe before', async () => {
    const scene = await Scene.open(17, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'], settings: SERVER_SETTINGS },
    });
    const { server, pgmoneta } = scene;
    try {
      await streaming(scene);
      await createMarks(server);
      await pgmoneta.backup();
      let going = true;
      const load = (async () => {
        const session = await server.connect();
        while (going) {
          await session.query(`SELECT pg_logical_emit_message(false, '', repeat('x', 300000)), pg_sleep(0.005)`);
        }
        await session.end();
      })();
      try {
        for (const id of [1, 2]) {
          await mark(server, id);
          await caughtUp(server, pgmoneta);
          const rows = await visible(scene, 'current');
          expect(rows).toEqual(Array.from({ length: id }, (_, index) => index + 1));
        }
      } finally {
        going = false;
        await load;
      }
    } finally {
      await scene.close();
    }
  });

  test('a backup from a standby, with WAL from there', async () => {
    const scene = await Scene.open(17, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'], settings: SERVER_SETTINGS },
    });
    const { server, pgmoneta } = scene;
    let standby: Server | undefined;
    try {
      await streaming(scene);
      await createMarks(server);
      await pgmoneta.backup();
      const directory = temporaryDirectory('n');
      const data = await pgmoneta.restore('newest', { position: 'replica', directory });
      const conninfo = `host=${server.socketDirectory} port=${server.port} user=postgres`;
      standby = await startExisting(17, data, { override: { primary_conninfo: conninfo, hot_standby: 'on' } });
      await mark(server, 1);
      const settings = { wal_slot: 'other' };
      const { name: user, password } = scene.role;
      pgmoneta.servers.push({ name: 'second', host: '127.0.0.1', port: standby.port, user, password, settings });
      pgmoneta.configure();
      await pgmoneta.stop();
      await pgmoneta.start();
      await until('the standby being received', async () => {
        return (await walStatus(pgmoneta, 'second')).WalReceiver === 'streaming';
      });
      await server.sql('CHECKPOINT');
      const label = await pgmoneta.backup('second');
      const two = await mark(server, 2);
      await mark(server, 3);
      await server.sql('SELECT pg_switch_wal()');
      await mark(server, 4);
      await caughtUp(server, pgmoneta, { name: 'second' });
      for (const [position, rows] of [
        ['immediate', [1]],
        [`xid=${two.xid}`, [1, 2]],
        ['current', [1, 2, 3, 4]],
      ] as const) {
        const result = await pgmoneta.restore('newest', { server: 'second', position });
        expect(path.basename(result)).toBe(`second-${label}`);
        const restored = await startExisting(17, result);
        await promoted(restored);
        expect(await marksIn(restored)).toEqual(rows);
        await restored.remove();
        pgmoneta.clearRestored();
      }
    } finally {
      await standby?.remove();
      await scene.close();
    }
  });
});

describe('timelines', () => {
  let scene: Scene;
  const running: Server[] = [];

  /** Makes a restored cluster the primary in the place of the last one; gives it when it is received again. */
  async function replacePrimary(position: string): Promise<Server> {
    const last = running.at(-1) ?? scene.server;
    const { port } = scene.server;
    await last.stop('fast');
    const directory = temporaryDirectory('n');
    const data = await scene.pgmoneta.restore('newest', { position, directory });
    const next = new Server(17, temporaryDirectory('r'), data, {});
    give(next.base);
    next.port = port;
    await next.start();
    running.push(next);
    await promoted(next);
    return next;
  }

  async function received(server: Server, timeline: number): Promise<void> {
    await until(`timeline ${timeline} being received`, async () => {
      const state = await walStatus(scene.pgmoneta);
      return state.WalReceiver === 'streaming' && state.WalTimeline === timeline;
    });
    await caughtUp(server, scene.pgmoneta);
  }

  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'], settings: SERVER_SETTINGS },
    });
    await streaming(scene);
    await createMarks(scene.server);
    await scene.pgmoneta.backup();
  });
  afterAll(async () => {
    for (const server of running) await server.remove();
    await scene?.close();
  });

  test('the old one, the new one, and one beside it: each keeps its rows', async () => {
    const { pgmoneta } = scene;
    await mark(scene.server, 1);
    const fork = await mark(scene.server, 2);
    await mark(scene.server, 3);
    await caughtUp(scene.server, pgmoneta);

    const second = await replacePrimary('current');
    await mark(second, 21);
    await received(second, 2);
    expect(await visible(scene, 'current,timeline=1')).toEqual([1, 2, 3]);
    expect(await visible(scene, 'current')).toEqual([1, 2, 3, 21]);

    // Back on the first timeline: the new one must not take the number that is taken.
    await pgmoneta.backup();
    await mark(second, 22);
    await caughtUp(second, pgmoneta);
    const third = await replacePrimary(`xid=${fork.xid},timeline=1`);
    expect(await third.value('SELECT timeline_id FROM pg_control_checkpoint()')).toBe('3');
    expect(await marksIn(third)).toEqual([1, 2]);
    await mark(third, 31);
    await received(third, 3);
    expect(await visible(scene, 'current,timeline=1')).toEqual([1, 2, 3]);
    expect(await visible(scene, 'current,timeline=2')).toEqual([1, 2, 3, 21, 22]);
    expect(await visible(scene, 'current')).toEqual([1, 2, 31]);
    expect(await visible(scene, 'current', { options: ['--wal=fetch'] })).toEqual([1, 2, 31]);
    // The end of the first timeline was never completed, and is not what is being received.
    expect(await visible(scene, 'current,timeline=1', { options: ['--wal=fetch'] })).toEqual([1, 2, 3]);
  });
});
