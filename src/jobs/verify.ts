import { availableParallelism } from 'node:os';
import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { LockHandle } from '../native/fs.js';
import { isValid, type KnownBackup, listBackups } from '../repository/catalogue.js';
import { leaseBackups } from '../repository/leases.js';
import { lockPatiently } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { dueForVerification, readVerifications } from '../repository/verifications.js';
import { knownBackupOf } from './backups.js';
import type { Job, JobContext } from './context.js';
import { validCode } from './list-backup.js';
import type { JsonObject } from './messages.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { flag, optionalText, requiredText } from './request.js';
import { serverOf, workerCount } from './servers.js';
import { type VerifyOutcome, verifyStored } from './verify-backup.js';
import { targetTime } from './wal-view.js';

/**
 * Checks a backup where it lies: stored hashes, plain digests, sizes, missing and surplus files, and page checksums when
 * asked. The answer lists what is wrong; it always comes. With `Scheduled`, which only the daemon itself says: all
 * backups of the server for which it is time.
 */
export const verifyJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'VERIFY_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  if (flag(request, 'Scheduled')) return verifyDue(server, paths, context);
  const identifier = requiredText(request, 'Backup', 'VERIFY_NOBACKUP');
  const { backup, lease } = await leaseForVerify(paths, server.name, identifier, context.signal);
  try {
    const outcome = await verifyStored(
      {
        paths,
        server: server.name,
        backup,
        workers: workerCount(server.workers, availableParallelism()),
        all: (optionalText(request, 'Files') ?? 'failed').toLowerCase() === 'all',
        pages: flag(request, 'Pages'),
      },
      context,
    );
    return response(server.name, backup, outcome);
  } finally {
    lease.release();
  }
};

/** Nobody removes the backup while it is read; others may go. */
async function leaseForVerify(
  paths: ServerPaths,
  server: string,
  identifier: string,
  signal: AbortSignal,
): Promise<{ backup: KnownBackup; lease: LockHandle }> {
  const what = `verify of ${server}`;
  const { catalogueLock } = paths;
  const catalogue = await lockPatiently(catalogueLock, 'shared', what, 'VERIFY_ERROR', CATALOGUE_PATIENCE, signal);
  try {
    const backup = await knownBackupOf(paths, server, identifier, 'VERIFY_NOBACKUP');
    return { backup, lease: await leaseBackups(paths, [backup.label], what, 'VERIFY_ERROR') };
  } finally {
    catalogue.release();
  }
}

/** One after the other, with one thread: nobody waits for it, and others need the disk. */
async function verifyDue(server: EffectiveServer, paths: ServerPaths, context: JobContext): Promise<JsonObject> {
  const labels = await dueBackups(paths, context.configuration.main.verification);
  let verified = 0;
  const damaged: string[] = [];
  for (const label of labels) {
    context.signal.throwIfAborted();
    const taken = await leaseForVerify(paths, server.name, label, context.signal).catch((error) => {
      // It has gone since, or is just going.
      context.log('debug', `backup ${label} of ${server.name} is not verified now: ${asPgmonetaError(error).message}`);
      return undefined;
    });
    if (taken === undefined) continue;
    try {
      const order = { paths, server: server.name, backup: taken.backup, workers: 1, all: false, pages: false };
      const { verification, problem } = await verifyStored(order, context);
      if (problem !== undefined) throw new PgmonetaError('VERIFY_ERROR', `backup ${label}: ${problem}`);
      verified++;
      if (verification.result !== 'good') damaged.push(label);
    } finally {
      taken.lease.release();
    }
  }
  return { Damaged: damaged, NumberOfVerified: verified, Server: server.name };
}

/**
 * Labels of the valid backups for which it is time.
 * @param interval seconds
 */
export async function dueBackups(paths: ServerPaths, interval: number): Promise<string[]> {
  const backups = await listBackups(paths);
  const valid = backups.filter(isValid).map(({ label }) => label);
  return dueForVerification(valid, await readVerifications(paths), interval, new Date());
}

function response(server: string, backup: KnownBackup, outcome: VerifyOutcome): JsonObject {
  const { report, verification, valid, problem } = outcome;
  return {
    Backup: backup.label,
    Files: { All: (report.all ?? []).map(fileEntry), Failed: report.failed.map(fileEntry) },
    MajorVersion: backup.info.majorVersion,
    MinorVersion: backup.info.minorVersion,
    NumberOfFailed: report.failed.length,
    NumberOfFiles: report.files,
    Server: server,
    Valid: valid === isValid(backup) ? validCode(backup) : Number(valid),
    VerifiedAt: targetTime(verification.at),
    ...(problem === undefined ? {} : { Problem: problem }),
  };
}

interface FileFinding {
  readonly path: string;
  readonly reason?: string | undefined;
  readonly algorithm?: string | undefined;
  readonly original?: string | undefined;
  readonly calculated?: string | undefined;
}

function fileEntry(finding: FileFinding): JsonObject {
  const slash = finding.path.lastIndexOf('/');
  return {
    Directory: slash < 0 ? '.' : finding.path.slice(0, slash),
    FileName: finding.path.slice(slash + 1),
    HashAlgorithm: finding.algorithm ?? '',
    Original: finding.original ?? '',
    ...(finding.calculated === undefined ? {} : { Calculated: finding.calculated }),
    ...(finding.reason === undefined ? {} : { Reason: finding.reason }),
  };
}
