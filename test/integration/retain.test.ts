import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneBackup, daysAgo, hashProblems, repositoryProblems } from '../support/history.mjs';
import { interrupted, killMoments } from '../support/interrupt.mjs';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
let template: string;
let full: string;
let child: string;
let grandchild: string;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 500 }, settings: { retention_interval: 86_400 } });
  const { pgmoneta } = scene;
  template = await pgmoneta.backup();
  full = cloneBackup(pgmoneta, template, { time: daysAgo(30) });
  child = cloneBackup(pgmoneta, template, { time: daysAgo(29), parent: full });
  grandchild = cloneBackup(pgmoneta, template, { time: daysAgo(28), parent: child });
});
afterAll(() => scene?.close());

const keepOf = (label: string): boolean =>
  readFileSync(path.join(scene.pgmoneta.backupDirectory(label), 'backup.info'), 'utf8').includes('\nKEEP=1\n');

describe('retain and expunge', () => {
  test('one backup: its description and hash list go together', async () => {
    const { pgmoneta } = scene;
    const done = await pgmoneta.must('retain', 'primary', template);
    expect(done).toMatchObject({ Backups: [template], Keep: true, Cascade: false, Valid: 'yes', MajorVersion: 17 });
    expect(keepOf(template)).toBe(true);
    expect(hashProblems(pgmoneta.backupDirectory(template))).toBe('');
    expect((await pgmoneta.must('verify', 'primary', template)).Files.Failed).toEqual({});
    expect((await pgmoneta.must('info', 'primary', template)).Keep).toBe(true);
    expect((await pgmoneta.json('delete', 'primary', template)).document.Outcome.Error).toBe(506);
    expect(await pgmoneta.must('retain', 'primary', template)).toMatchObject({ Backups: {}, Keep: true });
    expect(await pgmoneta.must('expunge', 'primary', template)).toMatchObject({ Backups: [template], Keep: false });
    expect(keepOf(template)).toBe(false);
    expect(repositoryProblems(pgmoneta)).toEqual([]);
  });

  test('with --cascade all that it builds upon, and never its children', async () => {
    const { pgmoneta } = scene;
    expect((await pgmoneta.must('retain', 'primary', child, '--cascade')).Backups).toEqual([child, full]);
    expect([full, child, grandchild].map(keepOf)).toEqual([true, true, false]);
    expect((await pgmoneta.must('expunge', 'primary', child)).Backups).toEqual([child]);
    expect([full, child, grandchild].map(keepOf)).toEqual([true, false, false]);
    expect((await pgmoneta.must('expunge', 'primary', grandchild, '--cascade')).Backups).toEqual([full]);
    expect([full, child, grandchild].map(keepOf)).toEqual([false, false, false]);
  });

  test.each([
    ['retain', 'nosuch', 'newest', 1201],
    ['retain', 'primary', '20010101000000', 1200],
    ['expunge', 'nosuch', 'newest', 1301],
    ['expunge', 'primary', '20010101000000', 1300],
  ])('%s %s %s is refused with %i', async (verb, server, label, number) => {
    const result = await scene.pgmoneta.json(verb, server, label);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome).toMatchObject({ Error: number, Status: false });
    expect(result.document.Outcome.Message).toContain(server === 'nosuch' ? server : label);
  });

  test('a damaged backup is refused, and so is a chain with a damaged link: nothing changes', async () => {
    const { pgmoneta } = scene;
    const damaged = cloneBackup(pgmoneta, template, { time: daysAgo(20), valid: false });
    const heir = cloneBackup(pgmoneta, template, { time: daysAgo(19), parent: damaged });
    const refused = await pgmoneta.json('retain', 'primary', damaged);
    expect(refused.document.Outcome.Error).toBe(1204);
    expect(refused.stderr).toContain('STATUS=0');
    const chain = await pgmoneta.json('retain', 'primary', heir, '--cascade');
    expect(chain.document.Outcome.Error).toBe(1204);
    expect(chain.stderr).toContain(damaged);
    const release = await pgmoneta.json('expunge', 'primary', damaged);
    expect(release.document.Outcome.Error).toBe(1304);
    expect(release.stderr).toContain('delete primary');
    expect([damaged, heir].map(keepOf)).toEqual([false, false]);
    for (const label of [heir, damaged]) await pgmoneta.must('delete', 'primary', label);
  });

  test('a chain whose full backup is gone is refused with its name', async () => {
    const { pgmoneta } = scene;
    const aside = path.join(pgmoneta.base, 'aside');
    renameSync(pgmoneta.backupDirectory(full), aside);
    try {
      const refused = await pgmoneta.json('retain', 'primary', grandchild, '--cascade');
      expect(refused.document.Outcome.Error).toBe(1204);
      expect(refused.stderr).toContain(`builds upon ${full}`);
      expect(keepOf(grandchild)).toBe(false);
    } finally {
      renameSync(aside, pgmoneta.backupDirectory(full));
    }
  });

  test('works while the backup is being verified, which finds nothing wrong', async () => {
    const { pgmoneta } = scene;
    const verifying = pgmoneta.json('verify', 'primary', template);
    for (let n = 0; n < 3; n++) {
      await pgmoneta.must('retain', 'primary', template);
      await pgmoneta.must('expunge', 'primary', template);
    }
    expect((await verifying).document.Response.Files.Failed).toEqual({});
  });
});

describe('killed', () => {
  const random = seeded('retain, kill -9');

  test.each(killMoments(8))(
    'moment %i, the %s: the description is the old one or the new one, and its hash is right',
    async (n, victim) => {
      const { pgmoneta } = scene;
      const verb = n % 4 < 2 ? 'retain' : 'expunge';
      const how = { victim, delay: random() * 250, from: 'job' } as const;
      const { exit } = await interrupted(pgmoneta, how, verb, 'primary', grandchild, '--cascade');
      // The sweep after a killed job, or at the start, finishes what was decided.
      const rewrite = path.join(pgmoneta.repository, 'primary', '.rewrite');
      await until('an empty .rewrite', () => !existsSync(rewrite) || readdirSync(rewrite).length === 0);
      expect(repositoryProblems(pgmoneta)).toEqual([]);
      const states = [full, child, grandchild].map(keepOf);
      if (exit === 0) expect(states).toEqual(Array(3).fill(verb === 'retain'));
      for (const { Backup, Valid } of (await pgmoneta.must('list-backup', 'primary')).Backups) {
        expect(Valid, Backup).toBe('yes');
      }
    },
  );

  test('and again without a kill it is done', async () => {
    const { pgmoneta } = scene;
    await pgmoneta.must('retain', 'primary', grandchild, '--cascade');
    expect([full, child, grandchild].map(keepOf)).toEqual([true, true, true]);
    await pgmoneta.must('expunge', 'primary', grandchild, '--cascade');
    expect((await pgmoneta.must('verify', 'primary', grandchild)).Files.Failed).toEqual({});
  });
});
