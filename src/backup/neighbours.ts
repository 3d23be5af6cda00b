import { isValid, type KnownBackup, type StoredBackup } from '../repository/catalogue.js';

/**
 * The backup whose unchanged files a full one links to: the newest valid full one of the major version. An incremental
 * one has only the changed blocks of most files; it is better than nothing.
 * @param backups of the server, oldest first
 */
export function linkSource(backups: readonly StoredBackup[], majorVersion: number): KnownBackup | undefined {
  return lastOfKind(backups, majorVersion, false) ?? lastOfKind(backups, majorVersion, true);
}

/** The newest valid backup of a major version that is incremental, or that is not. */
export function lastOfKind(
  backups: readonly StoredBackup[],
  majorVersion: number,
  incremental: boolean,
): KnownBackup | undefined {
  return backups
    .filter(isValid)
    .findLast(({ info }) => info.majorVersion === majorVersion && info.incremental === incremental);
}
