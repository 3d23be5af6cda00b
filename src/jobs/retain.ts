import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import type { BackupInfo } from '../repository/backup-info.js';
import { type KnownBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { lockPatiently } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { rewriteBackupInfo } from '../repository/rewrite-info.js';
import { chainOf } from '../retention/chain.js';
import { knownBackupOf, linkOf } from './backups.js';
import type { Job } from './context.js';
import { validCode } from './list-backup.js';
import type { JsonObject } from './messages.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { flag, requiredText } from './request.js';
import { serverOf } from './servers.js';

/** The errors of a verb. */
interface Refusals {
  readonly server: ErrorCode;
  readonly backup: ErrorCode;
  readonly other: ErrorCode;
}

/** Retains a backup: neither retention nor `delete` without `--force` removes it. With `Cascade` its ancestors too. */
export const retainJob: Job = keepJob('retain', true, {
  server: 'RETAIN_NOSERVER',
  backup: 'RETAIN_NOBACKUP',
  other: 'RETAIN_ERROR',
});

/** Releases a retained backup; with `Cascade` its ancestors too. */
export const expungeJob: Job = keepJob('expunge', false, {
  server: 'EXPUNGE_NOSERVER',
  backup: 'EXPUNGE_NOBACKUP',
  other: 'EXPUNGE_ERROR',
});

function keepJob(verb: 'retain' | 'expunge', keep: boolean, refusals: Refusals): Job {
  return async (request, context) => {
    const server = serverOf(context.configuration, request, refusals.server);
    const paths = serverPaths(context.configuration.main.base_dir, server.name);
    const identifier = requiredText(request, 'Backup', refusals.backup);
    const cascade = flag(request, 'Cascade');
    const what = `${verb} of ${server.name}`;
    const { catalogueLock } = paths;
    const { signal } = context;
    const held = await lockPatiently(catalogueLock, 'shared', what, refusals.other, CATALOGUE_PATIENCE, signal);
    try {
      const named = await knownBackupOf(paths, server.name, identifier, refusals.backup);
      const chain = cascade ? await wholeChain(paths, named, refusals.other) : [named];
      for (const backup of chain) refuseInvalid(backup, verb, server.name, refusals.other);
      const changed: string[] = [];
      // Ancestors first: cut off in the middle, nothing is retained whose ancestors are not.
      for (const { label } of chain.toReversed()) {
        if (!(await setKeep(paths, label, keep, what, signal))) continue;
        changed.push(label);
        context.log('info', `backup ${label} of ${server.name} is ${keep ? 'retained' : 'released'}`);
      }
      return response(server.name, named, { Backups: changed.toReversed(), Cascade: cascade, Keep: keep });
    } finally {
      held.release();
    }
  };
}

/** @returns whether anything had to be changed */
async function setKeep(
  paths: ServerPaths,
  label: string,
  keep: boolean,
  what: string,
  signal: AbortSignal,
): Promise<boolean> {
  let news = false;
  const change = (info: BackupInfo): BackupInfo | undefined => {
    news = info.keep !== keep;
    return news ? { ...info, keep } : undefined;
  };
  await rewriteBackupInfo(paths, label, change, what, signal);
  return news;
}

function response(server: string, backup: KnownBackup, result: JsonObject): JsonObject {
  const { info } = backup;
  return {
    ...result,
    Backup: backup.label,
    BackupSize: info.backupSize,
    BiggestFileSize: info.biggestFile,
    Comments: info.comments,
    Compression: info.compression,
    Encryption: info.encryption,
    MajorVersion: info.majorVersion,
    MinorVersion: info.minorVersion,
    RestoreSize: info.restoreSize,
    Server: server,
    Valid: validCode(backup),
  };
}

/** A backup and its ancestors, the full one last. */
async function wholeChain(paths: ServerPaths, backup: KnownBackup, code: ErrorCode): Promise<StoredBackup[]> {
  const backups = await listBackups(paths);
  const links = backups.map(linkOf);
  const byLabel = new Map(links.map((link) => [link.label, link]));
  const chain = chainOf(linkOf(backup), byLabel);
  if (chain.missing !== undefined) {
    throw new PgmonetaError(code, `backup ${backup.label} builds upon ${chain.missing}, which is not there`, {
      hint: 'leave --cascade away; a backup without its parent cannot be restored: take a full one',
    });
  }
  return chain.links.flatMap(({ label }) => backups.filter((stored) => stored.label === label));
}

function refuseInvalid(backup: StoredBackup, verb: string, server: string, code: ErrorCode): void {
  if (backup.validity === 'valid') return;
  throw new PgmonetaError(code, `backup ${backup.label} of ${server} is not valid: ${backup.problem}`, {
    hint:
      verb === 'retain'
        ? `there is nothing in it to rely upon; see what is wrong with: pgmoneta-cli verify ${server} ${backup.label}`
        : `remove it with: pgmoneta-cli delete ${server} ${backup.label} --force`,
  });
}
