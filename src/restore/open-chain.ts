import { BackupChain } from '../native/restore.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { cipherOfCode } from '../repository/codes.js';

/** A backup, what it builds on, and what opens them. */
export interface ChainSource {
  readonly backup: KnownBackup;
  /** What the backup builds on, its parent first and a full backup last; empty for a full backup. */
  readonly ancestors: readonly KnownBackup[];
  readonly masterSecret: Buffer | undefined;
  /** Accept that page checksums were enabled between two backups of the chain. */
  readonly allowMixedChecksums: boolean;
}

/** Opens a backup with what it builds on; the caller keeps both from being removed. See {@link BackupChain.open}. */
export function openChain({ backup, ancestors, ...options }: ChainSource): Promise<BackupChain> {
  const directories = [backup, ...ancestors].map(({ directory }) => directory);
  return BackupChain.open(directories, { ...options, encryption: cipherOfCode(backup.info.encryption) });
}
