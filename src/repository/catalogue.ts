import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { type BackupInfo, parseBackupInfo } from './backup-info.js';
import { isBackupLabel } from './label.js';
import { BACKUP_FILES, type ServerPaths } from './paths.js';

/** What can be said of a backup without reading its data. */
export type Validity = 'valid' | 'invalid' | 'unknown';

/** A backup in the repository. */
export interface StoredBackup {
  readonly label: string;
  readonly directory: string;
  readonly validity: Validity;
  /** Absent when `backup.info` is missing or damaged. */
  readonly info: BackupInfo | undefined;
  /** Why the backup is not valid, for people. */
  readonly problem: string | undefined;
}

/** A backup whose `backup.info` could be read. */
export type KnownBackup = StoredBackup & { readonly info: BackupInfo };

/** The backups of a server, oldest first. A directory whose name is no label is not a backup. */
export async function listBackups(paths: ServerPaths): Promise<StoredBackup[]> {
  const names = await readdir(paths.backups, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new PgmonetaError('IO', `cannot list the backups in ${paths.backups}: ${error.message}`, {
      cause: error,
      hint: 'the daemon has to own base_dir and everything below it',
    });
  });
  const labels = names.filter((entry) => entry.isDirectory() && isBackupLabel(entry.name)).map((entry) => entry.name);
  labels.sort();
  return Promise.all(labels.map((label) => readBackup(paths, label)));
}

/** Reads what is known of one backup; never throws for a damaged one. */
export async function readBackup(paths: ServerPaths, label: string): Promise<StoredBackup> {
  const directory = join(paths.backups, label);
  const infoPath = join(directory, BACKUP_FILES.info);
  try {
    const info = parseBackupInfo(await readFile(infoPath, 'utf8'), infoPath);
    const listed = await stat(join(directory, BACKUP_FILES.sha512)).then(
      () => true,
      () => false,
    );
    if (info.label !== '' && info.label !== label) {
      const problem = `${infoPath} is that of ${info.label}`;
      return { label, directory, validity: 'invalid', info, problem };
    }
    if (info.status === undefined) {
      return { label, directory, validity: 'unknown', info, problem: `${infoPath} has no STATUS` };
    }
    if (!info.status) return { label, directory, validity: 'invalid', info, problem: `${infoPath} says STATUS=0` };
    if (!listed) return { label, directory, validity: 'invalid', info, problem: `${BACKUP_FILES.sha512} is missing` };
    return { label, directory, validity: 'valid', info, problem: undefined };
  } catch (error) {
    return { label, directory, validity: 'unknown', info: undefined, problem: asPgmonetaError(error).message };
  }
}

/** Whether the `backup.info` of a backup is at hand. */
export function isKnown(backup: StoredBackup): backup is KnownBackup {
  return backup.info !== undefined;
}

/** Whether a backup is valid and its `backup.info` at hand. */
export function isValid(backup: StoredBackup): backup is KnownBackup {
  return backup.validity === 'valid' && backup.info !== undefined;
}

/**
 * Finds a backup by `oldest`, `newest`, `latest` (valid ones only) or its label (valid or not).
 * Returns undefined when there is none; the caller knows which error its verb has for that.
 */
export function findBackup(backups: readonly StoredBackup[], identifier: string): StoredBackup | undefined {
  if (identifier === 'oldest') return backups.find(isValid);
  if (identifier === 'newest' || identifier === 'latest') return backups.findLast(isValid);
  return backups.find((backup) => backup.label === identifier);
}

/** Says why an identifier found nothing, for the message of the verb. */
export function describeMissing(server: string, identifier: string, backups: readonly StoredBackup[]): string {
  if (backups.length === 0) return `server ${server} has no backups`;
  const invalid = backups.filter((backup) => !isValid(backup)).length;
  const named = ['oldest', 'newest', 'latest'].includes(identifier);
  if (named) return `server ${server} has no valid backup (${invalid} that are not valid)`;
  const labels = backups.map((backup) => backup.label);
  const shown = labels.length > 5 ? [...labels.slice(0, 2), '...', ...labels.slice(-2)] : labels;
  return `server ${server} has no backup ${identifier}; it has ${shown.join(', ')}`;
}
