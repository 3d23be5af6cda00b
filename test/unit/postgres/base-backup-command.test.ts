import { describe, expect, it } from 'vitest';
import { baseBackupCommand, clampRate } from '../../../src/postgres/base-backup-command.js';

describe('baseBackupCommand', () => {
  it('speaks in keywords to 13 and 14', () => {
    expect(baseBackupCommand(14, { label: "it's" })).toEqual({
      sql: "BASE_BACKUP LABEL 'it''s' PROGRESS FAST WAL NOWAIT MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'",
      notes: [],
    });
    const request = { label: 'l', progress: false, checkpoint: 'spread', maxRateBytes: 1024 * 1024 } as const;
    expect(baseBackupCommand(13, { ...request, manifestChecksums: 'none' }).sql).toBe(
      "BASE_BACKUP LABEL 'l' WAL NOWAIT MAX_RATE 1024 MANIFEST 'yes' MANIFEST_CHECKSUMS 'NONE'",
    );
  });

  it('puts options in parentheses from 15 on', () => {
    expect(baseBackupCommand(15, { label: 'l' }).sql).toBe(
      "BASE_BACKUP (LABEL 'l', WAL true, WAIT false, PROGRESS true, CHECKPOINT 'fast', MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')",
    );
    const request = {
      label: 'l',
      maxRateBytes: 40_000,
      serverCompression: { algorithm: 'zstd', level: 3, workers: 4 },
      manifestChecksums: 'sha512',
      progress: false,
      checkpoint: 'spread',
      incremental: true,
    } as const;
    expect(baseBackupCommand(17, request).sql).toBe(
      "BASE_BACKUP (INCREMENTAL, LABEL 'l', WAL true, WAIT false, MAX_RATE 40, COMPRESSION 'zstd', COMPRESSION_DETAIL 'level=3,workers=4', CHECKPOINT 'spread', MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA512')",
    );
    expect(baseBackupCommand(17, { label: 'l', serverCompression: { algorithm: 'lz4', workers: 4 } }).sql).toContain(
      "COMPRESSION 'lz4', PROGRESS",
    );
  });

  it('keeps the rate within what PostgreSQL accepts, and says so', () => {
    expect(clampRate(0)).toBeNull();
    expect(clampRate(-1)).toBeNull();
    expect(clampRate(1)).toEqual({ kilobytes: 32, note: expect.stringContaining('32 kB/s is used') });
    expect(clampRate(32 * 1024)).toEqual({ kilobytes: 32, note: undefined });
    expect(clampRate(32 * 1024 + 1)).toEqual({ kilobytes: 33, note: undefined });
    expect(clampRate(1024 ** 3)).toEqual({ kilobytes: 1048576, note: undefined });
    expect(clampRate(4 * 1024 ** 3)).toEqual({ kilobytes: 1048576, note: expect.stringContaining('4 GB/s') });
    expect(baseBackupCommand(16, { label: 'l', maxRateBytes: 5 }).notes).toHaveLength(1);
  });
});
