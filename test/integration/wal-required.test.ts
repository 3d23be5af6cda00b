import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';
import { walStatus } from '../support/wal.mjs';

let scene: Scene;
beforeAll(async () => {
  // Without a slot, and without leave to make one, nothing is received.
  scene = await Scene.open(17, { workload: false, start: false });
  Object.assign(scene.pgmoneta.servers[0] ?? {}, { settings: { create_slot: 'no' } });
  scene.pgmoneta.configure();
  await scene.pgmoneta.start();
  await until(
    'the missing slot being noticed',
    async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'waiting',
  );
});
afterAll(() => scene?.close());

describe('a backup while no WAL is received', () => {
  test('is refused with 101 when it was to insist, before anything is done, and says what to do', async () => {
    const { exit, document, stderr } = await scene.pgmoneta.json('backup', 'primary', '--require-wal');
    expect(exit).toBe(3);
    expect(document.Outcome.Error).toBe(101);
    expect(stderr).toMatch(/WAL of primary is not being received: its receiver is (waiting|connecting).*/);
    expect(stderr).toContain('without --require-wal');
    expect(scene.pgmoneta.backupsOnDisk()).toEqual([]);
    expect(readFileSync(scene.pgmoneta.log, 'utf8')).not.toContain('backup starts');
  });

  test('is taken otherwise, with a warning in the reply and in the log', async () => {
    const response = await scene.pgmoneta.must('backup', 'primary');
    expect(response).toMatchObject({ Valid: 'yes', Warning: expect.stringContaining('WAL of primary is not being') });
    expect(readFileSync(scene.pgmoneta.log, 'utf8')).toContain('the backup can be restored to its own end only');
  });

  test('is taken with the option as soon as WAL comes in, and without a warning', async () => {
    await scene.server.sql(`SELECT pg_create_physical_replication_slot('pgmoneta', true)`);
    await until('WAL coming in', async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'streaming', {
      timeout: 90_000,
    });
    const response = await scene.pgmoneta.must('backup', 'primary', '--require-wal');
    expect(response.Valid).toBe('yes');
    expect(response).not.toHaveProperty('Warning');
  });
});
