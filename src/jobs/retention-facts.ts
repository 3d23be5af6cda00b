import { readBackupHeader } from '../native/manifest.js';
import type { StoredBackup } from '../repository/catalogue.js';
import { timeOfLabel } from '../repository/label.js';
import { readerOf } from '../repository/leases.js';
import type { ServerPaths } from '../repository/paths.js';
import type { RetentionBackup } from '../retention/policy.js';
import { linkOf } from './backups.js';

/** What retention has to know of a backup. */
export async function retentionFacts(paths: ServerPaths, backup: StoredBackup): Promise<RetentionBackup> {
  const { label, info, validity } = backup;
  return {
    ...linkOf(backup),
    time: await startOf(backup),
    valid: validity === 'valid',
    keep: info?.keep ?? false,
    reader: readerOf(paths, label),
  };
}

/** A label says the same thing twice when clocks go back; `backup.json` does not. */
async function startOf({ directory, label }: StoredBackup): Promise<Date> {
  const header = await readBackupHeader(directory).catch(() => undefined);
  const recorded = new Date(header?.startTime ?? '');
  return Number.isNaN(recorded.getTime()) ? timeOfLabel(label) : recorded;
}
