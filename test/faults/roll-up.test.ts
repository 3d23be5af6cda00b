import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { differences } from '../integration/stored-chain.js';
import { repositoryProblems } from '../support/history.mjs';
import { durationOf, interrupted, killMoments } from '../support/interrupt.mjs';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { Scene } from '../support/scene.mjs';

/** kill -9 in the middle of a roll-up: every backup restores to what it was, and the work is taken up again. */

let scene: Scene;
/** The chain as it was taken, outside of the repository. */
let pristine: string;
let usual = 0;
const labels: string[] = [];
const before = new Map<string, string>();
const random = seeded('kill -9 of roll-ups');

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 2000, tablespaces: false },
    server: { settings: { summarize_wal: 'on', autovacuum: 'off' } },
  });
  const { pgmoneta, server } = scene;
  for (let number = 0; number < 3; number++) {
    await server.sql(`UPDATE main_table SET number = number + 1 WHERE id % 20 = ${number}`);
    // Two children of the full backup.
    const parent = number === 0 ? [] : [labels[0] as string];
    labels.push((await pgmoneta.must('backup', 'primary', ...parent)).Backup);
  }
  await server.stop();
  for (const label of labels) {
    const directory = path.join(pgmoneta.restored, 'before');
    before.set(label, await pgmoneta.restore(label, { directory }));
  }
  pristine = path.join(pgmoneta.base, 'pristine');
  execFileSync('cp', ['-a', path.dirname(pgmoneta.backupDirectory(labels[0] as string)), pristine]);
  usual = await durationOf(() => pgmoneta.must('delete', 'primary', labels[0] as string));
}, 600_000);
afterAll(() => scene?.close());

/** Puts the chain back. */
function again(): void {
  const backups = path.dirname(scene.pgmoneta.backupDirectory(labels[0] as string));
  for (const name of readdirSync(backups)) rmSync(path.join(backups, name), { recursive: true });
  execFileSync('cp', ['-a', '--link', `${pristine}/.`, backups]);
}

/**
 * All that is listed is whole, and what was made anew restores to the content of what it replaces. The others are the
 * files of before, which the hash lists prove.
 */
async function proveConsistent(): Promise<void> {
  const { pgmoneta } = scene;
  const root = path.join(pgmoneta.repository, 'primary');
  const empty = (name: string) => !existsSync(path.join(root, name)) || readdirSync(path.join(root, name)).length === 0;
  await until('a swept repository', () => empty('.roll-up') && empty('.trash'));
  const { Backups } = await pgmoneta.must('list-backup', 'primary');
  expect(Backups.map(({ Backup }: { Backup: string }) => Backup)).toEqual(pgmoneta.backupsOnDisk());
  expect(repositoryProblems(pgmoneta)).toEqual([]);
  for (const { Backup, Valid, Incremental } of Backups) {
    expect(Valid, Backup).toBe('yes');
    if (Incremental || Backup === labels[0]) continue;
    const directory = path.join(pgmoneta.restored, 'now');
    expect(differences(await pgmoneta.restore(Backup, { directory }), before.get(Backup) ?? ''), Backup).toEqual([]);
    rmSync(directory, { recursive: true });
  }
}

const moments = killMoments(4);

describe('of a roll-up', () => {
  const outcomes = { untouched: 0, between: 0, done: 0 };

  test.each(moments)('moment %i, the %s', { timeout: 120_000 }, async (_n, victim) => {
    const { pgmoneta } = scene;
    again();
    const full = labels[0] as string;
    const how = { victim, delay: random() * usual, from: 'job', orphans: true } as const;
    const { exit } = await interrupted(pgmoneta, how, 'delete', 'primary', full);
    await proveConsistent();
    const left = pgmoneta.backupsOnDisk();
    for (const label of labels.slice(1)) expect(left).toContain(label);
    const { Backups } = await pgmoneta.must('list-backup', 'primary');
    const rolled = Backups.filter(
      ({ Backup, Incremental }: { Backup: string; Incremental: boolean }) => Backup !== full && !Incremental,
    );
    if (exit === 0) expect(left).toEqual(labels.slice(1));
    outcomes[!left.includes(full) ? 'done' : rolled.length === 0 ? 'untouched' : 'between']++;
    if (!left.includes(full)) return;
    // Taken up again it comes to the same.
    await pgmoneta.must('delete', 'primary', full);
    expect(pgmoneta.backupsOnDisk()).toEqual(labels.slice(1));
    await proveConsistent();
  });

  test('some of them hit', () => {
    process.stdout.write(`roll-up, killed: ${JSON.stringify(outcomes)}\n`);
    expect(outcomes.untouched + outcomes.between).toBeGreaterThan(0);
  });
});
