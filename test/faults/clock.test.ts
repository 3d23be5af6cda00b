import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Clock } from '../support/clock.mjs';
import { until } from '../support/processes.mjs';
import { FaultProxy } from '../support/proxy.mjs';
import { Scene } from '../support/scene.mjs';
import { caughtUp, proveArchive, walStatus } from '../support/wal.mjs';
import { addNoise } from '../support/workload.mjs';

const MEBIBYTE = 1024 * 1024;
/** Hours that a clock is off, one after the other. */
const JUMPS = [5, -5, 26, -26, 0];

let scene: Scene;
let proxy: FaultProxy;
let ours: Clock;
let theirs: Clock;

beforeAll(async () => {
  ours = Clock.make();
  theirs = Clock.make();
  scene = await Scene.open(17, {
    workload: false,
    start: false,
    settings: { wal_receiver_timeout: '4s', max_rate: '8MB' },
    server: { initdb: ['--wal-segsize=1'], environment: theirs.environment },
  });
  await addNoise(scene.server, 32);
  proxy = await FaultProxy.start({ host: scene.server.host, port: scene.server.port });
  Object.assign(scene.pgmoneta.servers[0] ?? {}, { port: proxy.port });
  scene.pgmoneta.configure();
  await scene.pgmoneta.start({ env: ours.environment });
  await streaming();
});
afterAll(async () => {
  await scene?.close();
  await proxy?.close();
});
afterEach(async () => {
  ours.set(0);
  theirs.set(0);
  await caughtUp(scene.server, scene.pgmoneta);
  const found = await proveArchive(scene.pgmoneta, { major: 17, segmentSize: MEBIBYTE });
  expect(found.problems).toEqual([]);
});

const streaming = () =>
  until('the receiver streaming', async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'streaming');

const write = (megabytes: number) =>
  scene.server.sql(
    `SELECT pg_logical_emit_message(true, 'test', repeat(md5(i::text), 32 * 1024)) FROM generate_series(1, ${megabytes}) i`,
  );

const logSince = (begin: number) => readFileSync(scene.pgmoneta.log, 'utf8').slice(begin);
const logEnd = () => readFileSync(scene.pgmoneta.log, 'utf8').length;

describe('a clock that jumps by hours', () => {
  test('is what the processes see, and the machine does not', async () => {
    theirs.set(5);
    const [row] = await scene.server.sql('SELECT extract(epoch FROM clock_timestamp())');
    expect(Number(row?.[0]) - Date.now() / 1000).toBeGreaterThan(4.9 * 3600);
    ours.set(-5);
    const begin = logEnd();
    await scene.pgmoneta.must('mode', 'primary', 'online');
    const hour = new Date(Date.now() - 5 * 3_600_000).toISOString().slice(0, 13).replace('T', ' ');
    expect(logSince(begin)).toContain(hour);
  });

  test('of the daemon does not end a stream, nor delay it', async () => {
    const begin = logEnd();
    for (const hours of JUMPS) {
      ours.set(hours);
      await write(2);
      await caughtUp(scene.server, scene.pgmoneta, { timeout: 10_000 });
      const state = await walStatus(scene.pgmoneta);
      expect(state).toMatchObject({ WalReceiver: 'streaming', WalLag: 0, WalLagSeconds: 0 });
    }
    expect(logSince(begin)).not.toContain('not received');
  });

  test('of the server may end a stream: it goes on by itself, without a hole', async () => {
    for (const hours of JUMPS) {
      theirs.set(hours);
      await write(2);
      await caughtUp(scene.server, scene.pgmoneta, { timeout: 40_000 });
    }
  });

  test('of both, while commits wait for the daemon: each is acknowledged, and there', async () => {
    const { server } = scene;
    await server.sql('CREATE TABLE waits (n int)');
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
    await server.sql('SELECT pg_reload_conf()');
    try {
      for (const [index, hours] of JUMPS.entries()) {
        ours.set(hours);
        theirs.set(-hours);
        for (let n = 0; n < 20; n++) await server.sql(`INSERT INTO waits VALUES (${index * 20 + n})`);
      }
    } finally {
      await server.sql('ALTER SYSTEM RESET synchronous_standby_names');
      await server.sql('SELECT pg_reload_conf()');
    }
    expect(await server.value('SELECT count(*) FROM waits')).toBe('100');
  });

  test.each([5, -5])('by %i does not keep a dead link from being noticed in time', async (hours) => {
    await streaming();
    const begun = performance.now();
    proxy.stalled = true;
    ours.set(hours);
    await until(
      'the dead link being noticed',
      async () => (await walStatus(scene.pgmoneta)).WalReceiver !== 'streaming',
      {
        timeout: 20_000,
      },
    );
    expect(performance.now() - begun).toBeGreaterThan(2000); // nor is it given up at once
    proxy.stalled = false;
    proxy.tear();
    await streaming();
  });

  test('back does not keep the daemon from looking at its servers', async () => {
    const { server, pgmoneta } = scene;
    const problem = async () => (await walStatus(pgmoneta)).Problem;
    await server.stop();
    await pgmoneta.must('mode', 'primary', 'online'); // looks at once
    expect(await problem()).toBeDefined();
    ours.set(-5);
    await server.start();
    proxy.target = { host: server.host, port: server.port };
    await until('the server being looked at again', async () => (await problem()) === undefined, { timeout: 70_000 });
    await streaming();
  });

  test('back stops neither a backup nor what is told of its progress', async () => {
    const { pgmoneta } = scene;
    const job = pgmoneta.launch('pgmoneta-cli', ['-c', pgmoneta.configuration, 'backup', 'primary']);
    const progress = () => pgmoneta.must('progress', 'primary');
    await until('the backup being under way', async () => (await progress()).Percentage > 3);
    ours.set(-5);
    const before = (await progress()).Percentage;
    await until('its progress going on', async () => {
      const { Percentage, Phase } = await progress();
      expect(Phase).toBe('Base backup'); // a new phase would be told of anyhow
      return Percentage > before + 10;
    });
    const { exit, stderr } = await job.result;
    expect(stderr).toBe('');
    expect(exit).toBe(0);
    const [label] = pgmoneta.backupsOnDisk();
    expect((await pgmoneta.must('verify', 'primary', label as string)).Files.Failed).toEqual({});
  });

  test('back behind the newest backup is refused by the next one: labels would lie', async () => {
    const { pgmoneta } = scene;
    const before = pgmoneta.backupsOnDisk();
    ours.set(-5);
    const { exit, document } = await pgmoneta.json('backup', 'primary');
    expect(exit).toBe(3);
    expect(document.Outcome.Message).toContain('no label is free: the newest backup is');
    expect(pgmoneta.backupsOnDisk()).toEqual(before);
    expect(pgmoneta.stagingOnDisk()).toEqual([]);
    ours.set(0);
    await pgmoneta.must('backup', 'primary');
  });
});
