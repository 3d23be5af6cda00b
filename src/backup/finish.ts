import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import type { BackupReceiver, ReceivedSummary } from '../native/receiver.js';
import { formatLsn } from '../postgres/index.js';
import { formatBackupInfo } from '../repository/backup-info.js';
import { renameDurable } from '../repository/durable.js';
import { parseBackupLabel } from './backup-label.js';
import { type BackupOutcome, describeBackup, jsonHeader } from './describe.js';
import { fetchExtra } from './extra.js';
import { checkLineage } from './incremental.js';
import type { StreamedBackup } from './stream.js';
import type { BackupStart } from './take.js';
import { checkWalRange } from './wal-range.js';

/** Checks, describes, makes durable and publishes what was received. */
export async function finishBackup(
  start: BackupStart,
  receiver: BackupReceiver,
  streamed: StreamedBackup,
): Promise<BackupOutcome> {
  const { order, label, directory } = start;
  order.onProgress('Manifest', 0, 0);
  const received = await receiver.check();
  if (received.linkRefused !== undefined) order.warn(received.linkRefused);
  order.signal.throwIfAborted();
  const labelFile = parseBackupLabel(received.backupLabel);
  checkIdentity(start, received, streamed, labelFile.startLsn);
  checkLineage(labelFile, order.parent);
  checkWalRange(streamed, order.facts.walSegmentSize, received.walFiles);
  const outcome = describeBackup(start, received, streamed, labelFile);
  if (order.server.extra.length > 0) order.onProgress('Extra files', 0, 0);
  const extra = await fetchExtra(directory, order);
  for (const problem of extra.problems) order.warn(problem);
  order.onProgress('Publish', 0, 0);
  await receiver.finish(jsonHeader(start, received, streamed, labelFile), formatBackupInfo(outcome.info));
  order.signal.throwIfAborted();
  await renameDurable(directory, join(order.paths.backups, label));
  return { ...outcome, extra };
}

/** The stream, its backup_label, its manifest and its pg_control have to speak of one and the same server. */
function checkIdentity(
  { order }: BackupStart,
  received: ReceivedSummary,
  streamed: StreamedBackup,
  labelLsn: string,
): void {
  const { systemIdentifier } = order.facts;
  const refuse = (what: string, found: string, expected: string): never => {
    throw new PgmonetaError(
      'CORRUPT',
      `${what} of the backup of ${order.server.name} is ${found}, but ${expected} was expected`,
      {
        hint: 'take the backup again; if it happens again, something between server and pgmoneta changes data',
      },
    );
  };
  // The first eight bytes of pg_control, in the byte order of the server, which is ours.
  const controlIdentifier = received.pgControl.readBigUInt64LE(0).toString();
  if (controlIdentifier !== systemIdentifier) {
    refuse('the system identifier in global/pg_control', controlIdentifier, systemIdentifier);
  }
  if (received.systemIdentifier !== undefined && received.systemIdentifier !== systemIdentifier) {
    refuse('the system identifier in the manifest', received.systemIdentifier, systemIdentifier);
  }
  if (labelLsn !== formatLsn(streamed.startLsn)) refuse('START WAL LOCATION', labelLsn, formatLsn(streamed.startLsn));
}
