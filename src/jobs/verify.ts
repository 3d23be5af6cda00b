import { availableParallelism } from 'node:os';
import type { LockHandle } from '../native/fs.js';
import { verifyBackup } from '../native/verify.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { cipherOfCode } from '../repository/codes.js';
import { leaseBackups } from '../repository/leases.js';
import { lockPatiently } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { knownBackupOf } from './backups.js';
import type { Job } from './context.js';
import type { JsonObject } from './messages.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { flag, optionalText, requiredText } from './request.js';
import { serverOf, workerCount } from './servers.js';

/**
 * Checks a backup where it lies: stored hashes, plain digests, sizes, missing and surplus files, and page
 * checksums when asked. Nothing is written. The answer lists what is wrong; it always comes.
 */
export const verifyJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'VERIFY_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const identifier = requiredText(request, 'Backup', 'VERIFY_NOBACKUP');
  const all = (optionalText(request, 'Files') ?? 'failed').toLowerCase() === 'all';
  const { backup, lease } = await leaseForVerify(paths, server.name, identifier, context.signal);
  try {
    const encryption = cipherOfCode(backup.info.encryption);
    const report = await verifyBackup(
      {
        backup: backup.directory,
        workers: workerCount(server.workers, availableParallelism()),
        all,
        pages: flag(request, 'Pages'),
        ...(context.masterSecret === undefined ? {} : { masterSecret: context.masterSecret }),
        ...(encryption === undefined || encryption === 'none' ? {} : { encryption }),
      },
      {
        signal: context.signal,
        onProgress: ({ bytesDone, bytesTotal }) =>
          context.progress({ phase: 'Verify backup', done: bytesDone, total: bytesTotal, unit: 'bytes' }),
      },
    );
    const good = report.failed.length === 0;
    context.log(
      good ? 'info' : 'error',
      `verified backup ${backup.label} of ${server.name}: ${good ? 'no fault' : `${report.failed.length} faults`}`,
      {
        files: report.files,
        bytes: report.bytes,
      },
    );
    return {
      Backup: backup.label,
      Files: { All: (report.all ?? []).map(fileEntry), Failed: report.failed.map(fileEntry) },
      MajorVersion: backup.info.majorVersion,
      MinorVersion: backup.info.minorVersion,
      NumberOfFailed: report.failed.length,
      NumberOfFiles: report.files,
      Server: server.name,
    };
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
