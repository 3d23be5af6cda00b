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
    ...(await timesOf(backup)),
    valid: validity === 'valid',
    keep: info?.keep ?? false,
    reader: readerOf(paths, label),
  };
}

/** A label says the same thing twice when clocks go back; `backup.json` does not. */
async function timesOf({ directory, label, info }: StoredBackup): Promise<{ time: Date; end: Date }> {
  const header = await readBackupHeader(directory).catch(() => undefined);
  const time = moment(header?.startTime) ?? timeOfLabel(label);
  const end = moment(header?.stopTime) ?? new Date(time.getTime() + 1000 * (info?.elapsed.ELAPSED ?? 0));
  return { time, end };
}

function moment(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '');
  return Number.isNaN(date.getTime()) ? undefined : date;
}
