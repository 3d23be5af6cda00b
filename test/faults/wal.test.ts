import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { FaultProxy } from '../support/proxy.mjs';
import { seeded } from '../support/random.mjs';
import { identity, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { caughtUp, lsnNumber, proveArchive, walStatus } from '../support/wal.mjs';

const MEBIBYTE = 1024 * 1024;
/** How often the daemon is killed; 200 takes some minutes. */
const KILLS = Number(process.env.PGMONETA_TEST_KILLS ?? 24);

async function streaming(scene: Scene) {
  await until('the receiver streaming', async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'streaming', {
    timeout: 90_000,
  });
}

/** Writes about `kilobytes` of WAL in one transaction. */
const write = (scene: Scene, kilobytes: number) =>
  scene.server.sql(`SELECT pg_logical_emit_message(true, 'test', repeat('0123456789abcdef', ${kilobytes * 64}))`);

describe('kill -9 of the daemon', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'] },
      settings: { encryption: 'aes-256-gcm' },
    });
    await streaming(scene);
  });
  afterAll(() => scene?.close());

  test(`${KILLS} times, in every phase of a segment's life: what was acknowledged is there`, async () => {
    const { server, pgmoneta } = scene;
    const random = seeded('kill -9 of the receiver');
    await server.sql('CREATE TABLE kept (n int)');
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
    await server.sql('SELECT pg_reload_conf()');
    let acknowledged = 0;
    let stop = false;
    const session = await server.connect();
    const writing = (async () => {
      while (!stop) {
        const filler = random() < 0.5 ? 10 : 700;
        await session.query(`BEGIN; INSERT INTO kept VALUES (${acknowledged + 1});
            SELECT pg_logical_emit_message(true, 'test', repeat('0123456789abcdef', ${filler * 64})); COMMIT`);
        acknowledged++;
      }
    })();
    // A session that waits for nobody: it only looks.
    const looking = await server.connect();
    for (let kill = 0; kill < KILLS; kill++) {
      await until('the stream', async () => {
        const [row] = await looking.query(`SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'`);
        return row?.[0] !== '0';
      });
      await new Promise((resolve) => setTimeout(resolve, random() * 250));
      await pgmoneta.kill();
      await pgmoneta.start();
    }
    await looking.end();
    stop = true;
    await writing;
    await session.end();
    const end = (await server.value('SELECT pg_current_wal_flush_lsn()')) as string;
    await caughtUp(server, pgmoneta);
    const found = await proveArchive(pgmoneta, { major: 17, segmentSize: MEBIBYTE });
    expect(found.problems).toEqual([]);
    expect(lsnNumber(found.end)).toBeGreaterThanOrEqual(lsnNumber(end));
    expect(found.commits).toBeGreaterThanOrEqual(acknowledged);
    expect(acknowledged).toBeGreaterThan(KILLS);
    // The next segment that is being prepared is the only temporary file.
    const names = readdirSync(path.join(pgmoneta.repository, 'primary/wal'));
    expect(names.filter((name) => name.includes('.tmp-')).length).toBeLessThanOrEqual(1);
  }, 900_000);
});

describe('the server', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      server: { initdb: ['--wal-segsize=1'], settings: { max_wal_size: '4MB', min_wal_size: '2MB' } },
    });
    await streaming(scene);
  });
  afterAll(() => scene?.close());

  test('has dropped the slot and removed WAL: the gap is found and shown, and receiving goes on behind it', async () => {
    const { server, pgmoneta } = scene;
    await write(scene, 3000);
    await caughtUp(server, pgmoneta);
    const label = await pgmoneta.backup();
    await pgmoneta.stop();
    await until(
      'the slot being free',
      async () => (await server.value('SELECT active FROM pg_replication_slots')) === 'f',
    );
    await server.sql(`SELECT pg_drop_replication_slot('pgmoneta')`);
    for (let n = 0; n < 6; n++) {
      await write(scene, 2000);
      await server.sql('CHECKPOINT');
    }
    await pgmoneta.start();
    await streaming(scene);
    await write(scene, 2000);
    await caughtUp(server, pgmoneta);
    const state = await walStatus(pgmoneta);
    expect(state.WalGaps).toHaveLength(1);
    expect(lsnNumber(state.WalGaps[0].To) - lsnNumber(state.WalGaps[0].From)).toBeGreaterThan(BigInt(5 * MEBIBYTE));
    const { Backups } = await pgmoneta.must('list-backup', 'primary');
    expect(Backups.find(({ Backup }: { Backup: string }) => Backup === label).RestorableBroken).toMatch(/is missing/);
    expect(readFileSync(pgmoneta.log, 'utf8')).toMatch(/GAP|was created on server/);
  });
});

describe('between server and daemon', () => {
  let scene: Scene;
  let proxy: FaultProxy;
  beforeAll(async () => {
    scene = await Scene.open(17, { workload: false, start: false, server: { initdb: ['--wal-segsize=1'] } });
    proxy = await FaultProxy.start({ host: scene.server.host, port: scene.server.port });
    Object.assign(scene.pgmoneta.servers[0] ?? {}, { port: proxy.port });
    scene.pgmoneta.configure();
    await scene.pgmoneta.start();
    await streaming(scene);
  });
  afterAll(async () => {
    await scene?.close();
    await proxy?.close();
  });

  test.each([
    ['garbage', (chunk: Buffer) => Buffer.concat([Buffer.from('nonsense'), chunk])],
    ['a message that says it has 2 GiB', (chunk: Buffer) => Buffer.concat([Buffer.from('5a7fffffff', 'hex'), chunk])],
    ['a WAL message that is too short', (chunk: Buffer) => Buffer.concat([Buffer.from('640000000677', 'hex'), chunk])],
    ['a chunk twice', (chunk: Buffer) => Buffer.concat([chunk, chunk])],
    ['a chunk left out', () => Buffer.alloc(0)],
    [
      'a wrong position',
      (chunk: Buffer) => {
        const changed = Buffer.from(chunk);
        for (let at = changed.indexOf('w'); at >= 5 && at + 9 < changed.length; at = -1) changed[at + 6] = 0x41;
        return changed;
      },
    ],
  ] as const)('%s is noticed; nothing wrong is kept and nothing lost', async (_what, change) => {
    await caughtUp(scene.server, scene.pgmoneta);
    const log = readFileSync(scene.pgmoneta.log, 'utf8').length;
    proxy.changeOnce = change;
    for (let n = 0; n < 3; n++) await write(scene, 50);
    await until('the fault having been made', () => proxy.changeOnce === undefined);
    await until(
      'the receiver having begun anew',
      () => readFileSync(scene.pgmoneta.log, 'utf8').slice(log).includes('is not received'),
      { timeout: 30_000 },
    );
    await streaming(scene);
    await caughtUp(scene.server, scene.pgmoneta);
    expect((await proveArchive(scene.pgmoneta, { major: 17, segmentSize: MEBIBYTE })).problems).toEqual([]);
  });
});

/** Mounting needs root. */
const root = process.getuid?.() === 0;

describe.runIf(root)('a full disk', () => {
  test('stops receiving with a clear message, and receiving goes on when there is space again', async () => {
    const scene = await Scene.open(17, { workload: false, start: false, server: { initdb: ['--wal-segsize=1'] } });
    const { server, pgmoneta } = scene;
    makeDirectory(pgmoneta.repository);
    const { uid, gid } = identity() ?? { uid: 0, gid: 0 };
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=12m,uid=${uid},gid=${gid},mode=0700`,
      'tmpfs',
      pgmoneta.repository,
    ]);
    try {
      pgmoneta.configure({ compression: 'none' });
      await pgmoneta.start();
      await streaming(scene);
      const filler = path.join(pgmoneta.repository, 'filler');
      writeFileSync(filler, Buffer.alloc(8 * MEBIBYTE));
      await write(scene, 6000);
      await until('the full disk being shown', async () => /space/i.test((await walStatus(pgmoneta)).WalProblem ?? ''));
      expect((await walStatus(pgmoneta)).WalStreaming).toBe(false);
      rmSync(filler);
      await caughtUp(server, pgmoneta);
      expect((await proveArchive(pgmoneta, { major: 17, segmentSize: MEBIBYTE })).problems).toEqual([]);
    } finally {
      await pgmoneta.stop();
      execFileSync('umount', ['-l', pgmoneta.repository]);
      await scene.close();
    }
  });
});
