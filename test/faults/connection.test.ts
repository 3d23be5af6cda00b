import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { until } from '../support/processes.mjs';
import { FaultProxy } from '../support/proxy.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { addMarkers, addNoise, MARKER } from '../support/workload.mjs';

let scene: Scene;
let proxy: FaultProxy;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 2000 }, start: false });
  await addMarkers(scene.server);
  await addNoise(scene.server, 16);
  proxy = await FaultProxy.start(scene.server);
  Object.assign(scene.pgmoneta.servers[0] as object, { port: proxy.port });
  scene.pgmoneta.configure();
  await scene.pgmoneta.start();
});
afterAll(async () => {
  await scene?.close();
  await proxy?.close();
});

/** A backup that has to fail: with a clear error, and without a trace. */
async function expectFailure(running: Promise<{ exit: number; stdout: string; stderr: string }>, message: RegExp) {
  const { pgmoneta } = scene;
  const before = pgmoneta.backupsOnDisk();
  const result = await running;
  expect(result.exit).toBe(3);
  const { Outcome } = JSON.parse(result.stdout);
  expect(Outcome.Status).toBe(false);
  expect(Outcome.Message).toMatch(message);
  expect(result.stderr).toContain(Outcome.Message);
  expect(pgmoneta.backupsOnDisk()).toEqual(before);
  expect(pgmoneta.stagingOnDisk()).toEqual([]);
}

const launch = () =>
  scene.pgmoneta.launch('pgmoneta-cli', ['-c', scene.pgmoneta.configuration, '-F', 'json', 'backup', 'primary']).result;

/** The backup after a fault has to be a good one. */
async function expectNextWorks() {
  const label = await scene.pgmoneta.backup();
  expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
}

describe('the connection', () => {
  beforeEach(() => scene.reconfigure({ max_rate: 0 }));

  test.each([100_000, 1_000_000, 5_000_000, 20_000_000])('is torn after %i bytes', async (bytes) => {
    const { hits } = proxy;
    proxy.tearAfter = bytes;
    await expectFailure(launch(), /connection|closed|reset|ECONNRESET/i);
    expect(proxy.hits).toBe(hits + 1);
    await expectNextWorks();
  });

  test('is refused', async () => {
    await scene.server.stop();
    await expectFailure(launch(), /refused|closed|reset|connect/i);
    await scene.server.start();
    proxy.target = { host: scene.server.host, port: scene.server.port };
    await expectNextWorks();
  });

  test('stands still: a cancel ends the backup', async () => {
    await scene.reconfigure({ max_rate: 2_000_000 });
    const running = launch();
    await until('a staged backup', () => scene.pgmoneta.stagingOnDisk().length > 0);
    proxy.stalled = true;
    const failure = expectFailure(running, /cancel/i);
    await scene.pgmoneta.cli('cancel', 'primary');
    await failure;
    proxy.tear();
    proxy.stalled = false;
    await scene.reconfigure({ max_rate: 0 });
    await expectNextWorks();
  });
});

describe('the server', () => {
  test.each(['fast', 'immediate', 'kill'] as const)('is stopped (%s) in the middle', async (mode) => {
    await scene.reconfigure({ max_rate: 2_000_000 });
    const running = launch();
    const before = proxy.received;
    await until('some of the stream', () => proxy.received > before + 1_500_000);
    const failure = expectFailure(running, /.+/);
    await scene.server.stop(mode);
    await failure;
    await scene.server.start();
    proxy.target = { host: scene.server.host, port: scene.server.port };
    await scene.reconfigure({ max_rate: 0 });
    await expectNextWorks();
  });
});

describe('the stream', () => {
  test.each(['none', 'zstd'])(
    'is changed on its way (compression %s): the manifest does not agree',
    async (compression) => {
      await scene.reconfigure({ compression, max_rate: 0 });
      const { hits } = proxy;
      proxy.replace = { find: MARKER, put: `M${MARKER.slice(1, -1)}X` };
      const file = await scene.server.value(`SELECT pg_relation_filepath('markers')`);
      await expectFailure(launch(), new RegExp(`${file}|checksum|manifest`, 'i'));
      expect(proxy.hits).toBe(hits + 1);
      await expectNextWorks();
    },
  );

  test('after all of that a restore is the source, row for row', async () => {
    const checksums = await checksumEveryTable(scene.server);
    const directory = await scene.pgmoneta.restore(await scene.pgmoneta.backup());
    expect(await proveRestored(17, directory, { checksums })).toEqual([]);
  });
});
