import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cloneBackup, daysAgo, hashProblems } from '../support/history.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
let template: string;
let label: string;
let days = 100;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 500 }, settings: { retention_interval: 86_400 } });
  template = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());
beforeEach(() => {
  label = cloneBackup(scene.pgmoneta, template, { time: daysAgo(days--) });
});

const annotate = (...args: string[]) => scene.pgmoneta.must('annotate', 'primary', label, ...args);
const refused = (...args: string[]) => scene.pgmoneta.json('annotate', 'primary', label, ...args);

const stored = (): string => {
  const info = readFileSync(path.join(scene.pgmoneta.backupDirectory(label), 'backup.info'), 'utf8');
  return (
    info
      .split('\n')
      .find((line) => line.startsWith('COMMENTS='))
      ?.slice('COMMENTS='.length) ?? ''
  );
};

describe('annotate', () => {
  test('adds, updates and removes; the answer is that of info', async () => {
    const added = await annotate('add', 'reason', 'before the upgrade');
    expect(added).toMatchObject({
      Annotations: [{ Key: 'reason', Comment: 'before the upgrade' }],
      Backup: label,
      Comments: 'reason|before the upgrade',
      Server: 'primary',
      Valid: 'yes',
    });
    expect(added.WAL).toMatch(/^[0-9A-F]{24}$/);
    await annotate('add', 'by', 'night shift');
    await annotate('update', 'reason', 'after the upgrade');
    expect(stored()).toBe('reason|after the upgrade,by|night shift');
    expect((await annotate('remove', 'reason')).Comments).toBe('by|night shift');
    expect((await annotate('remove', 'by')).Annotations).toEqual({});
    expect(stored()).toBe('');
    expect(hashProblems(scene.pgmoneta.backupDirectory(label))).toBe('');
    expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
  });

  test.each([
    ["it's 50% of a, b | c = d"],
    ['line one\nline two\ttabbed\r\nline three'],
    ['"quoted" \\ back\\slashed ünïcode 😀 日本語'],
    ['%2C %7C %25 %zz'],
    [' blanks around '],
    ['=,|'],
  ])('any text comes back as it was: %j', async (text) => {
    const { Annotations } = await annotate('add', 'note', text);
    expect(Annotations).toEqual([{ Key: 'note', Comment: text }]);
    const listed = (await scene.pgmoneta.must('list-backup', 'primary')).Backups;
    expect(listed.find(({ Backup }: { Backup: string }) => Backup === label).Comments).toBe(stored());
    expect(stored()).not.toMatch(/[=\r]/);
    expect(stored().split(',')).toHaveLength(1);
    expect(stored().split('|')).toHaveLength(2);
    const again = await scene.pgmoneta.must('info', 'primary', label);
    expect(again.Annotations).toEqual([{ Key: 'note', Comment: text }]);
    expect((await annotate('remove', 'note')).Annotations).toEqual({});
  });

  test('keys may hold anything too', async () => {
    await annotate('add', 'a,b|c=d', '1');
    expect((await annotate('update', 'a,b|c=d', '2')).Annotations).toEqual([{ Key: 'a,b|c=d', Comment: '2' }]);
    await annotate('remove', 'a,b|c=d');
  });

  test('a comment may be without text', async () => {
    expect((await annotate('add', 'checked')).Annotations).toEqual([{ Key: 'checked', Comment: null }]);
  });

  test('comments of 0.21 are read, and kept beside new ones', async () => {
    label = cloneBackup(scene.pgmoneta, template, { time: daysAgo(days--), comments: 'disk|50% full,old|%41' });
    await annotate('add', 'new', 'x, y');
    expect(stored()).toBe('disk|50% full,old|%41,new|x%2C y');
  });

  test('what cannot be done is refused with the reason, and nothing changes', async () => {
    await annotate('add', 'reason', 'first');
    const exists = await refused('add', 'reason', 'second');
    expect(exists.document.Outcome).toMatchObject({ Error: 2503, Status: false });
    expect(exists.stderr).toMatch(/has a comment 'reason' already: first[\s\S]*update/);
    const missing = await refused('update', 'nosuch', 'x');
    expect(missing.document.Outcome.Error).toBe(2503);
    expect(missing.stderr).toContain("no comment 'nosuch'; it has 'reason'");
    expect((await refused('remove', 'nosuch')).document.Outcome.Error).toBe(2503);
    expect((await refused('update', 'reason')).document.Outcome.Error).toBe(2503);
    expect(stored()).toBe('reason|first');
  });

  test('a text that 0.21 could not read is refused, not cut off', async () => {
    const tooLong = await refused('add', 'long', 'x'.repeat(2100));
    expect(tooLong.document.Outcome.Error).toBe(2503);
    expect(tooLong.stderr).toContain('2105 bytes');
    expect(stored()).toBe('');
    expect((await annotate('add', 'long', 'x'.repeat(2042))).Annotations[0].Comment).toHaveLength(2042);
  });

  test('an unknown action is a mistake of usage; unknown backups and servers have their numbers', async () => {
    const action = await scene.pgmoneta.cli('annotate', 'primary', label, 'change', 'k', 'v');
    expect(action.exit).toBe(1);
    expect(action.stderr).toContain('add, update, remove');
    expect((await scene.pgmoneta.json('annotate', 'nosuch', label, 'add', 'k', 'v')).document.Outcome.Error).toBe(2501);
    const backup = await scene.pgmoneta.json('annotate', 'primary', '20010101000000', 'add', 'k', 'v');
    expect(backup.document.Outcome.Error).toBe(2500);
  });
});
