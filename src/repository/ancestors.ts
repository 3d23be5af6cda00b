import { PgmonetaError } from '../errors/index.js';
import { isKnown, type KnownBackup, type StoredBackup } from './catalogue.js';

/**
 * What an incremental backup builds on: its parent first, the full backup last. Empty for a full backup.
 * @param backups all of the server
 * @param force go on with ancestors that are not valid: what is read of them is proved all the same
 * @throws PgmonetaError RESTORE_NOBACKUP when an ancestor is not there, RESTORE_SETUP when one is not valid,
 * REPOSITORY_DAMAGED when what is recorded makes no chain; each names the backup
 */
export function ancestorsOf(
  backups: readonly StoredBackup[],
  backup: KnownBackup,
  force: boolean,
): readonly KnownBackup[] {
  const ancestors: KnownBackup[] = [];
  let child = backup;
  while (child.info.incremental) {
    const parent = parentOf(backups, backup, child);
    if (parent.label === backup.label || ancestors.some(({ label }) => label === parent.label)) {
      throw new PgmonetaError('REPOSITORY_DAMAGED', `backup ${parent.label} is recorded as its own ancestor`, {
        hint: `look at PARENT in ${parent.directory}/backup.info, and restore another backup`,
      });
    }
    if (parent.validity !== 'valid' && !force) {
      throw new PgmonetaError(
        'RESTORE_SETUP',
        `backup ${backup.label} builds on backup ${parent.label}, which is not valid: ${parent.problem}`,
        {
          hint: `${otherBackups(backups, parent.label)}; --force with a label restores what is there, checked file by file`,
        },
      );
    }
    ancestors.push(parent);
    child = parent;
  }
  return ancestors;
}

function parentOf(backups: readonly StoredBackup[], backup: KnownBackup, child: KnownBackup): KnownBackup {
  const { parent: label } = child.info;
  if (label === '') {
    throw new PgmonetaError(
      'REPOSITORY_DAMAGED',
      `backup ${child.label} is incremental, and its backup.info does not name its parent`,
      { hint: `restore another backup; the file is ${child.directory}/backup.info` },
    );
  }
  const parent = backups.find((one) => one.label === label);
  const whose =
    child.label === backup.label ? `backup ${backup.label}` : `backup ${child.label}, on which ${backup.label} builds,`;
  if (parent === undefined) {
    throw new PgmonetaError('RESTORE_NOBACKUP', `${whose} needs backup ${label}, which is not in the repository`, {
      hint: `${otherBackups(backups, label)}, or bring backup ${label} back from a copy of the repository`,
    });
  }
  if (isKnown(parent)) return parent;
  throw new PgmonetaError(
    'REPOSITORY_DAMAGED',
    `${whose} needs backup ${label}, which cannot be read: ${parent.problem}`,
    {
      hint: otherBackups(backups, label),
    },
  );
}

/** The valid backups that do not build on a lost one. */
function otherBackups(backups: readonly StoredBackup[], lost: string): string {
  const whole = backups.filter((one) => one.validity === 'valid' && !buildsOn(backups, one, lost));
  if (whole.length === 0) return 'take a full backup: no other one can be restored';
  const newest = whole.slice(-3).map(({ label }) => label);
  return `these backups can be restored without it: ${newest.reverse().join(', ')}`;
}

function buildsOn(backups: readonly StoredBackup[], backup: StoredBackup, lost: string): boolean {
  let current: StoredBackup | undefined = backup;
  for (let steps = 0; current !== undefined && steps <= backups.length; steps += 1) {
    if (current.label === lost) return true;
    if (current.info?.incremental !== true) return false;
    const { parent }: { readonly parent: string } = current.info;
    current = backups.find((one) => one.label === parent);
  }
  return true;
}
