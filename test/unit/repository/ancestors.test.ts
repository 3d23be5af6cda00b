import { describe, expect, test } from 'vitest';
import { ancestorsOf } from '../../../src/repository/ancestors.js';
import type { BackupInfo } from '../../../src/repository/backup-info.js';
import type { KnownBackup, StoredBackup } from '../../../src/repository/catalogue.js';

const FULL = '20260101000000';
const FIRST = '20260102000000';
const SECOND = '20260103000000';
const OTHER = '20260104000000';

function backup(label: string, parent?: string, validity: StoredBackup['validity'] = 'valid'): KnownBackup {
  const info = { label, incremental: parent !== undefined, parent: parent ?? '' } as BackupInfo;
  const problem = validity === 'valid' ? undefined : 'backup.info says STATUS=0';
  return { label, directory: `/r/primary/backup/${label}`, validity, info, problem };
}

const labels = (backups: readonly StoredBackup[]): string[] => backups.map(({ label }) => label);

describe('the ancestors of a backup', () => {
  const all = [backup(FULL), backup(FIRST, FULL), backup(SECOND, FIRST), backup(OTHER)];

  test('are its parent and so on to the full backup', () => {
    const [full, first, second] = all as [KnownBackup, KnownBackup, KnownBackup];
    expect(labels(ancestorsOf(all, second, false))).toEqual([FIRST, FULL]);
    expect(labels(ancestorsOf(all, first, false))).toEqual([FULL]);
    expect(ancestorsOf(all, full, false)).toEqual([]);
  });

  test('that are missing are named, and what can be restored instead', () => {
    const lost = [backup(FULL), backup(SECOND, FIRST), backup(OTHER)];
    expect(() => ancestorsOf(lost, backup(SECOND, FIRST), true)).toThrow(
      expect.objectContaining({
        code: 'RESTORE_NOBACKUP',
        message: `backup ${SECOND} needs backup ${FIRST}, which is not in the repository`,
        hint: expect.stringContaining(`${OTHER}, ${FULL}, or bring backup ${FIRST} back`),
      }),
    );
    const rootless = [backup(FIRST, FULL), backup(SECOND, FIRST)];
    expect(() => ancestorsOf(rootless, backup(SECOND, FIRST), false)).toThrow(
      expect.objectContaining({
        message: `backup ${FIRST}, on which ${SECOND} builds, needs backup ${FULL}, which is not in the repository`,
        hint: expect.stringContaining('take a full backup'),
      }),
    );
  });

  test('that are not valid need force', () => {
    const broken = [backup(FULL, undefined, 'invalid'), backup(FIRST, FULL), backup(OTHER)];
    expect(() => ancestorsOf(broken, backup(FIRST, FULL), false)).toThrow(
      expect.objectContaining({
        code: 'RESTORE_SETUP',
        message: `backup ${FIRST} builds on backup ${FULL}, which is not valid: backup.info says STATUS=0`,
        hint: expect.stringMatching(new RegExp(`${OTHER}.*--force`)),
      }),
    );
    expect(labels(ancestorsOf(broken, backup(FIRST, FULL), true))).toEqual([FULL]);
  });

  test('whose records make no chain are refused', () => {
    const circle = [backup(FIRST, SECOND), backup(SECOND, FIRST)];
    expect(() => ancestorsOf(circle, backup(SECOND, FIRST), true)).toThrow(/its own ancestor/);
    expect(() => ancestorsOf([], backup(FIRST, ''), true)).toThrow(/does not name its parent/);
    const unread = { ...backup(FULL), info: undefined, problem: 'no such file' };
    expect(() => ancestorsOf([unread], backup(FIRST, FULL), true)).toThrow(/cannot be read: no such file/);
  });
});
