import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { checkStoredManifest } from '../native/manifest.js';
import { type Connection, uploadManifest } from '../postgres/index.js';
import type { KnownBackup } from '../repository/catalogue.js';
import type { BackupLabelFile } from './backup-label.js';

/** PostgreSQL's manifest in the directory of a backup: stored exactly as the server sent it. */
export const MANIFEST = 'data/backup_manifest';

/** Bytes of one CopyData message. */
const PIECE = 64 * 1024;

/** A parent whose manifest was proved. */
export interface Parent {
  readonly backup: KnownBackup;
  /** Where its WAL begins, as its manifest says: the child has to say the same. */
  readonly startLsn: string;
  readonly startTimeline: number;
}

/**
 * Proves a parent's manifest before the server is asked to build on it.
 * @param systemIdentifier of the server, decimal
 * @throws PgmonetaError CORRUPT with what differs, IO
 */
export async function proveParent(backup: KnownBackup, systemIdentifier: string): Promise<Parent> {
  const manifest = await checkStoredManifest(backup.directory);
  const path = join(backup.directory, MANIFEST);
  const earliest = manifest.walRanges.at(-1);
  if (earliest === undefined) throw damaged(path, 'it names no WAL');
  if (manifest.systemIdentifier !== systemIdentifier) {
    throw damaged(path, `it is of cluster ${manifest.systemIdentifier ?? '(not told)'}, not of ${systemIdentifier}`);
  }
  const { startLsn, timeline: startTimeline } = earliest;
  const { info } = backup;
  if (startLsn !== info.startLsn || startTimeline !== info.startTimeline) {
    throw damaged(
      path,
      `its WAL begins at ${startLsn} on timeline ${startTimeline}, that of backup.info at ${info.startLsn} on timeline ${info.startTimeline}`,
    );
  }
  return { backup, startLsn, startTimeline };
}

function damaged(path: string, why: string): PgmonetaError {
  return new PgmonetaError('CORRUPT', `${path}: ${why}`, { hint: 'take a full backup, or build on another one' });
}

/** Hands the server the parent's manifest, on the connection that takes the backup afterwards. */
export function uploadParent(connection: Connection, { backup }: Parent, signal: AbortSignal): Promise<void> {
  const manifest = createReadStream(join(backup.directory, MANIFEST), { highWaterMark: PIECE });
  return uploadManifest(connection, manifest, { signal });
}

/**
 * The server writes into `backup_label` what the backup is incremental to: it has to be the parent, or, for a full
 * backup, nothing.
 * @throws PgmonetaError CORRUPT
 */
export function checkLineage(label: BackupLabelFile, parent: Parent | undefined): void {
  const { incrementalFromLsn: lsn, incrementalFromTimeline: timeline } = label;
  if (lsn === parent?.startLsn && timeline === parent?.startTimeline) return;
  const said = lsn === undefined ? 'is full' : `is incremental to ${lsn} on timeline ${timeline}`;
  const expected =
    parent === undefined
      ? 'a full one was asked for'
      : `its parent ${parent.backup.label} begins at ${parent.startLsn} on timeline ${parent.startTimeline}`;
  throw new PgmonetaError('CORRUPT', `backup_label says that the backup ${said}, but ${expected}`, {
    hint: 'take the backup again; if it happens again, something between server and pgmoneta changes data',
  });
}
