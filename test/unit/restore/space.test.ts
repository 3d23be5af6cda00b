import { describe, expect, it } from 'vitest';
import { archiveRatio, checkArchiveSpace } from '../../../src/restore/space.js';
import { refusal } from '../temporary.js';

describe('the room of an archive', () => {
  const sizes = { stored: 30, restored: 100, compressed: true, incremental: false };

  it('is guessed from what the backup shrank to, where it says that', () => {
    expect(archiveRatio('zstd', sizes)).toBe(0.3);
    expect(archiveRatio('none', sizes)).toBe(1);
    expect(archiveRatio('zstd', { ...sizes, incremental: true })).toBe(0.25);
    expect(archiveRatio('zstd', { ...sizes, compressed: false })).toBe(0.25);
    expect(archiveRatio('zstd', { ...sizes, stored: 140 })).toBe(1);
  });

  it('counts beside the restored tree', async () => {
    const tree = { needed: 100 << 20, available: 130 << 20 };
    expect(() => checkArchiveSpace({ tree, directory: '/a', ratio: 0.3 })).not.toThrow();
    await refusal(
      () => checkArchiveSpace({ tree, directory: '/a', ratio: 0.31 }),
      'RESTORE_NODISK',
      /100 MB for the restored backup and about 31 MB for itself, and \/a has 130 MB free/,
    );
  });
});
