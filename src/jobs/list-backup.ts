import type { Configuration } from '../config/of-server.js';
import { PgmonetaError } from '../errors/index.js';
import { listBackups, type StoredBackup } from '../repository/catalogue.js';
import { serverPaths } from '../repository/paths.js';
import { readVerifications } from '../repository/verifications.js';
import { walBytesBetween } from '../repository/wal-distance.js';
import type { JsonObject } from './messages.js';
import { optionalText } from './request.js';
import { serverOf } from './servers.js';
import { verifiedFields } from './verified-fields.js';
import { type LiveWalOf, readWalView, type WalView, windowFields } from './wal-view.js';

/** `Valid` on the wire: 1 yes, 0 no, 2 unknown. */
export function validCode(backup: StoredBackup): number {
  return backup.validity === 'valid' ? 1 : backup.validity === 'invalid' ? 0 : 2;
}

/** Fields that every description of a backup has. */
export function backupFields(backup: StoredBackup): JsonObject {
  const { info } = backup;
  return {
    Backup: backup.label,
    BackupSize: info?.backupSize ?? 0,
    BiggestFileSize: info?.biggestFile ?? 0,
    Comments: info?.comments ?? '',
    Compression: info?.compression ?? 0,
    Encryption: info?.encryption ?? 0,
    Keep: info?.keep ?? false,
    RestoreSize: info?.restoreSize ?? 0,
    Valid: validCode(backup),
    ...(backup.problem === undefined ? {} : { Problem: backup.problem }),
  };
}

/**
 * WAL figures of a list of backups, oldest first, both in bytes of WAL: `delta` is the WAL between a backup and the
 * one before it; `wal` the WAL that is kept from the segment of its start to now, and where none is received, the WAL
 * from its start to the end of the newest backup.
 */
export function walFigures(backups: readonly StoredBackup[], view?: WalView): { wal: number; delta: number }[] {
  const end = backups.findLast((backup) => backup.info !== undefined)?.info;
  return backups.map((backup, index) => {
    const before = backups[index - 1]?.info;
    const { info } = backup;
    if (info === undefined || end === undefined) return { wal: 0, delta: 0 };
    return {
      wal: view?.windows.get(backup.label)?.walBytes || walBytesBetween(info.startLsn, end.endLsn),
      delta: before === undefined ? 0 : walBytesBetween(before.startLsn, info.startLsn),
    };
  });
}

/** The backups of a server. */
export async function listBackupVerb(
  request: JsonObject,
  configuration: Configuration,
  liveOf?: LiveWalOf,
): Promise<JsonObject> {
  const server = serverOf(configuration, request, 'LIST_BACKUP_NOSERVER');
  const sort = (optionalText(request, 'Sort') ?? 'asc').toLowerCase();
  if (sort !== 'asc' && sort !== 'desc') {
    throw new PgmonetaError('LIST_BACKUP_INVALID_SORT', `'${sort}' is no sort order`, { hint: 'use asc or desc' });
  }
  const paths = serverPaths(configuration.main.base_dir, server.name);
  const backups = await listBackups(paths);
  const view = await readWalView(paths, backups, liveOf?.(server.name), { bytes: false });
  const figures = walFigures(backups, view);
  const verifications = await readVerifications(paths);
  const entries = backups.map(
    (backup, index): JsonObject => ({
      ...backupFields(backup),
      ...windowFields(view, backup.label),
      ...verifiedFields(verifications, backup.label),
      Delta: figures[index]?.delta ?? 0,
      Incremental: backup.info?.incremental ?? false,
      IncrementalParent: backup.info?.parent ?? '',
      Server: server.name,
      WAL: figures[index]?.wal ?? 0,
    }),
  );
  const newest = backups.findLast((backup) => backup.info !== undefined)?.info;
  return {
    Backups: sort === 'asc' ? entries : entries.reverse(),
    MajorVersion: newest?.majorVersion ?? 0,
    MinorVersion: newest?.minorVersion ?? 0,
    NumberOfBackups: entries.length,
    Server: server.name,
    ...(view.problem === undefined ? {} : { WalArchiveProblem: view.problem }),
  };
}
