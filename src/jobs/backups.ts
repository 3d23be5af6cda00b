import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import {
  describeMissing,
  findBackup,
  type KnownBackup,
  listBackups,
  type StoredBackup,
} from '../repository/catalogue.js';
import type { ServerPaths } from '../repository/paths.js';
import { type ChainLink, chainOf } from '../retention/chain.js';

/** The backup that an identifier names, valid or not. */
export async function backupOf(
  paths: ServerPaths,
  server: string,
  identifier: string,
  missing: ErrorCode,
): Promise<StoredBackup> {
  const backups = await listBackups(paths);
  const backup = findBackup(backups, identifier);
  if (backup === undefined) throw new PgmonetaError(missing, describeMissing(server, identifier, backups));
  return backup;
}

/** Labels of a backup and of all that it builds upon, as far as they are there; the full one last. */
export async function chainLabels(paths: ServerPaths, label: string): Promise<string[]> {
  const links = (await listBackups(paths)).map(linkOf);
  const byLabel = new Map(links.map((link) => [link.label, link]));
  const start = byLabel.get(label);
  return start === undefined ? [label] : chainOf(start, byLabel).links.map((link) => link.label);
}

/** The place of a backup in its chain. */
export function linkOf({ label, info }: StoredBackup): ChainLink {
  return { label, parent: info?.incremental && info.parent !== '' ? info.parent : undefined };
}

/** The backup that an identifier names; its `backup.info` has to be readable. */
export async function knownBackupOf(
  paths: ServerPaths,
  server: string,
  identifier: string,
  missing: ErrorCode,
): Promise<KnownBackup> {
  const backup = await backupOf(paths, server, identifier, missing);
  if (backup.info === undefined) {
    throw new PgmonetaError(
      'REPOSITORY_DAMAGED',
      `backup ${backup.label} of ${server} cannot be read: ${backup.problem}`,
      {
        hint: `verify it with: pgmoneta-cli verify ${server} ${backup.label}`,
      },
    );
  }
  return backup as KnownBackup;
}

/** The same, and it has to be valid unless the user insists. */
export async function usableBackupOf(
  paths: ServerPaths,
  server: string,
  identifier: string,
  missing: ErrorCode,
  force: boolean,
): Promise<KnownBackup> {
  const backup = await knownBackupOf(paths, server, identifier, missing);
  if (backup.validity === 'valid' || force) return backup;
  throw new PgmonetaError('RESTORE_SETUP', `backup ${backup.label} of ${server} is not valid: ${backup.problem}`, {
    hint: `see what is wrong with: pgmoneta-cli verify ${server} ${backup.label}; --force restores what is there, checked file by file`,
  });
}
