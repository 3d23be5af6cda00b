import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { durationOf, interrupted, killMoments } from '../support/interrupt.mjs';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { Scene } from '../support/scene.mjs';
import { addNoise } from '../support/workload.mjs';

let scene: Scene;
let parent: string;
const random = seeded('incremental');

/** Changes so much that the backup takes a moment. */
const churn = () => scene.server.sql('UPDATE noise SET body = body || body WHERE id % 2 = 0; CHECKPOINT');

beforeAll(async () => {
  scene = await Scene.open(18, {
    workload: { rows: 2000, tablespaces: false },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  await addNoise(scene.server, 30);
  parent = await scene.pgmoneta.backup();
  await churn();
});
afterAll(() => scene?.close());

/** The parent and everything that is listed is whole, and nothing else is there. */
async function sound(): Promise<void> {
  const { pgmoneta } = scene;
  await until('an empty staging directory', () => pgmoneta.stagingOnDisk().length === 0, { timeout: 10_000 });
  const { Backups } = await pgmoneta.must('list-backup', 'primary');
  expect(Backups.map(({ Backup }: { Backup: string }) => Backup)).toEqual(pgmoneta.backupsOnDisk());
  expect(existsSync(pgmoneta.backupDirectory(parent))).toBe(true);
  for (const { Backup, Valid } of Backups) {
    expect(Valid, Backup).toBe('yes');
    expect((await pgmoneta.must('verify', 'primary', Backup)).Files.Failed, Backup).toEqual({});
  }
}

const launch = () =>
  scene.pgmoneta.launch('pgmoneta-cli', [
    '-c',
    scene.pgmoneta.configuration,
    '-F',
    'json',
    'backup',
    'primary',
    parent,
  ]);

test('a cancel leaves nothing but the parent', async () => {
  const { pgmoneta } = scene;
  await scene.reconfigure({ max_rate: 1_000_000 });
  const running = launch();
  await until('a staged backup', () => pgmoneta.stagingOnDisk().length > 0);
  const refused = await pgmoneta.json('delete', 'primary', parent, '--force');
  expect(refused.document.Outcome.Error).toBe(503);
  expect((await pgmoneta.json('cancel', 'primary')).exit).toBe(0);
  const result = await running.result;
  expect(result.exit).toBe(3);
  expect(JSON.parse(result.stdout).Outcome.Message).toMatch(/was cancelled/);
  expect(pgmoneta.backupsOnDisk()).toEqual([parent]);
  await sound();
  await scene.reconfigure({ max_rate: 0 });
});

describe('kill -9', () => {
  let usual = 0;
  beforeAll(async () => {
    usual = await durationOf(() => scene.pgmoneta.must('backup', 'primary', parent));
  });
  beforeEach(async () => {
    for (const label of scene.pgmoneta.backupsOnDisk()) {
      if (label !== parent) await scene.pgmoneta.must('delete', 'primary', label);
    }
  });

  test.each(killMoments(6))(
    'moment %i, the %s: nothing is listed that is not whole, and the next one works',
    async (_n, victim) => {
      const { pgmoneta } = scene;
      const how = { victim, delay: random() * usual };
      const { exit } = await interrupted(pgmoneta, how, 'backup', 'primary', parent);
      if (exit !== 0) await sound();
      const response = await pgmoneta.must('backup', 'primary', parent);
      expect(response).toMatchObject({ Incremental: true, IncrementalParent: parent });
      await sound();
    },
  );
});
