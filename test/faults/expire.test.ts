import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneBackup, daysAgo, repositoryProblems } from '../support/history.mjs';
import { durationOf, interrupted, killMoments } from '../support/interrupt.mjs';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { Scene } from '../support/scene.mjs';

/** kill -9 in the middle of removals: what is listed is whole, what is gone is gone, and the work is taken up again. */

let scene: Scene;
let template: string;
const random = seeded('kill -9 of removals');

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 2000 }, settings: { retention_interval: 86_400, retention: '7' } });
  template = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());

/** A full backup, a chain of three and a retained one, all of them old. */
function makePast(): { expired: string[]; kept: string[] } {
  const clone = (days: number, more: object = {}) =>
    cloneBackup(scene.pgmoneta, template, { time: daysAgo(days), ...more });
  const full = clone(30);
  const child = clone(29, { parent: full });
  const grandchild = clone(28, { parent: child });
  const single = clone(25, { copy: true });
  const retained = clone(24, { keep: true });
  return { expired: [full, child, grandchild, single], kept: [retained, template] };
}

/** Everything listed is valid and whole, and nothing lies about. */
async function proveConsistent(): Promise<void> {
  const { pgmoneta } = scene;
  const trash = path.join(pgmoneta.repository, 'primary', '.trash');
  await until('an empty trash', () => !existsSync(trash) || readdirSync(trash).length === 0);
  const listed = (await pgmoneta.must('list-backup', 'primary')).Backups;
  expect(listed.map(({ Backup }: { Backup: string }) => Backup)).toEqual(pgmoneta.backupsOnDisk());
  for (const { Backup, Valid, IncrementalParent } of listed) {
    expect(Valid, Backup).toBe('yes');
    if (IncrementalParent) expect(pgmoneta.backupsOnDisk(), `the parent of ${Backup}`).toContain(IncrementalParent);
  }
  expect(repositoryProblems(pgmoneta)).toEqual([]);
}

const moments = killMoments(6);

describe('of an expiry', () => {
  let length = 0;
  let cut = 0;
  beforeAll(async () => {
    makePast();
    length = await durationOf(() => scene.pgmoneta.must('expire', 'primary'));
    await scene.pgmoneta.must('delete', 'primary', 'oldest', '--force');
  });

  test.each(moments)('moment %i, the %s', async (_n, victim) => {
    const { pgmoneta } = scene;
    const { expired, kept } = makePast();
    const result = await interrupted(
      pgmoneta,
      { victim, delay: random() * length, from: 'job', orphans: true },
      'expire',
      'primary',
    );
    await proveConsistent();
    const left = pgmoneta.backupsOnDisk();
    if (result.exit === 0) expect(left).toEqual(kept);
    else cut++;
    for (const label of kept) expect(left).toContain(label);
    // Taken up again it comes to the same.
    await pgmoneta.must('expire', 'primary');
    expect(pgmoneta.backupsOnDisk()).toEqual(kept);
    expect(expired.length).toBe(4);
    await pgmoneta.must('delete', 'primary', kept[0] as string, '--force');
  });

  test('some of them hit', () => {
    expect(cut).toBeGreaterThan(0);
  });
});

describe('of a delete', () => {
  let length = 0;
  beforeAll(async () => {
    const label = cloneBackup(scene.pgmoneta, template, { time: daysAgo(30), copy: true });
    length = await durationOf(() => scene.pgmoneta.must('delete', 'primary', label));
  });

  test.each(moments)('moment %i, the %s', async (_n, victim) => {
    const { pgmoneta } = scene;
    const label = cloneBackup(pgmoneta, template, { time: daysAgo(30), copy: true });
    const result = await interrupted(
      pgmoneta,
      { victim, delay: random() * length, from: 'job', orphans: true },
      'delete',
      'primary',
      label,
    );
    await proveConsistent();
    if (result.exit === 0) expect(pgmoneta.backupsOnDisk()).toEqual([template]);
    if (pgmoneta.backupsOnDisk().includes(label)) {
      expect((await pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
      await pgmoneta.must('delete', 'primary', label);
    }
    expect(pgmoneta.backupsOnDisk()).toEqual([template]);
  });
});
