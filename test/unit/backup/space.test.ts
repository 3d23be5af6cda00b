import { describe, expect, it } from 'vitest';
import { checkSpace, expectedSize } from '../../../src/backup/space.js';
import type { BackupInfo } from '../../../src/repository/backup-info.js';

const GB = 1024 ** 3;
const alike = { backupSize: 1 * GB, restoreSize: 4 * GB, compression: 18 } as BackupInfo;

describe('the space check before a backup', () => {
  it('expects plain files to take what the server announces', () => {
    expect(expectedSize({ announced: 10 * GB, incremental: false, compressed: false, alike, available: 0 })).toBe(
      10 * GB,
    );
  });

  it('expects compressed files to shrink as those of the previous backup did', () => {
    const eighth = { ...alike, backupSize: GB / 2 };
    expect(expectedSize({ announced: 8 * GB, incremental: false, compressed: true, alike: eighth, available: 0 })).toBe(
      GB,
    );
  });

  it('does not learn a ratio from a backup that was not compressed', () => {
    const plain = { ...alike, backupSize: 4 * GB, compression: 0 };
    expect(expectedSize({ announced: 8 * GB, incremental: false, compressed: true, alike: plain, available: 0 })).toBe(
      2 * GB,
    );
  });

  it('expects an incremental backup to take what the last one took, and refuses none without that', () => {
    const question = { announced: 100 * GB, incremental: true, compressed: false, alike: undefined, available: GB };
    checkSpace(question, '/repo/primary');
    const last = { ...alike, backupSize: 2 * GB };
    expect(() => checkSpace({ ...question, alike: last }, '/repo/primary')).toThrow(/as the last incremental one did/);
  });

  it('refuses with the figures and the place', () => {
    const question = { announced: 10 * GB, incremental: false, compressed: false, alike: undefined, available: 5 * GB };
    expect(() => checkSpace(question, '/repo/primary')).toThrow(/10240 MB\), but \/repo\/primary has 5120 MB free/);
    checkSpace({ ...question, available: 11 * GB }, '/repo/primary');
  });
});
