import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgmonetaError } from '../errors/index.js';
import { writeFileDurable } from '../native/fs.js';
import { type VerifyFinding, type VerifyReport, verifyBackup } from '../native/verify.js';
import { isValid, type KnownBackup, listBackups, type StoredBackup } from '../repository/catalogue.js';
import { cipherOfCode } from '../repository/codes.js';
import { listedInfoDigest } from '../repository/hash-list.js';
import { lockPatiently } from '../repository/locks.js';
import { BACKUP_FILES, type ServerPaths } from '../repository/paths.js';
import { rewriteBackupInfo } from '../repository/rewrite-info.js';
import { readVerifications, rememberVerification, type Verification } from '../repository/verifications.js';
import type { JobContext } from './context.js';
import { judge, type Verdict } from './verdict.js';

/** How long the second look at a description waits for a change of it, in milliseconds. */
const INFO_PATIENCE = 60_000;

/** How a backup is verified. */
export interface VerifyOrder {
  readonly paths: ServerPaths;
  readonly server: string;
  /** Leased by the caller. */
  readonly backup: KnownBackup;
  readonly workers: number;
  /** List good files too. */
  readonly all: boolean;
  /** Look at page checksums. */
  readonly pages: boolean;
}

/** What a verification found and led to. */
export interface VerifyOutcome {
  readonly report: VerifyReport;
  readonly verification: Verification;
  /** Whether the backup is valid now. */
  readonly valid: boolean;
  /** Why it could not be written down; undefined when it was. */
  readonly problem: string | undefined;
}

/**
 * Verifies a backup where it lies, remembers what came of it, and makes a backup that is damaged an invalid one: no
 * restore, no next backup and no retention relies upon it any more. One that was made invalid so, and has no fault any
 * more, is valid again.
 */
export async function verifyStored(order: VerifyOrder, context: JobContext): Promise<VerifyOutcome> {
  const { paths, server, backup } = order;
  const found = await check(order, context);
  const failed = await lookAgain(order, found.failed, context.signal);
  const report = { ...found, failed };
  const verdict = judge(failed);
  const before = (await readVerifications(paths)).get(backup.label);
  const verification: Verification = {
    at: new Date(),
    result: verdict.result,
    faults: failed.length,
    message: verdict.message,
    // Not healable any more when it once was not.
    healable: verdict.healable && (before === undefined || before.result !== 'damaged' || before.healable),
  };
  const good = failed.length === 0;
  context.log(
    good ? 'info' : 'error',
    `verified backup ${backup.label} of ${server}: ${good ? 'no fault' : `${failed.length} faults; ${failed[0]?.message}`}`,
    { files: report.files, bytes: report.bytes },
  );
  try {
    const valid = failed.some(({ path, reason }) => path === BACKUP_FILES.info && reason !== 'unreadable')
      ? await condemnDescription(order, context)
      : await settle(order, verdict, before, context);
    const labels = (await listBackups(paths)).map(({ label }) => label);
    await rememberVerification(paths, backup.label, verification, labels, context.signal);
    return { report, verification, valid, problem: undefined };
  } catch (error) {
    // What was found is worth telling all the same.
    if (context.signal.aborted) throw error;
    const problem = `what came of the verification could not be written down: ${asPgmonetaError(error).message}`;
    context.log('error', `backup ${backup.label} of ${server}: ${problem}`);
    return { report, verification, valid: isValid(backup), problem };
  }
}

/** A directory that nobody may list keeps the core from an answer; it is a finding like others. */
async function check(order: VerifyOrder, context: JobContext): Promise<VerifyReport> {
  try {
    return await readAll(order, context);
  } catch (error) {
    if (context.signal.aborted) throw error;
    const { message } = asPgmonetaError(error);
    const finding = { path: '.', reason: 'unreadable', algorithm: '', original: '', calculated: '', message } as const;
    return { files: 0, bytes: 0, failed: [finding], pages: 0, replayedPages: 0, warnings: [], seconds: 0 };
  }
}

function readAll({ backup, workers, all, pages }: VerifyOrder, context: JobContext): Promise<VerifyReport> {
  const encryption = cipherOfCode(backup.info.encryption);
  return verifyBackup(
    {
      backup: backup.directory,
      workers,
      all,
      pages,
      ...(context.masterSecret === undefined ? {} : { masterSecret: context.masterSecret }),
      ...(encryption === undefined || encryption === 'none' ? {} : { encryption }),
    },
    {
      signal: context.signal,
      onProgress: ({ bytesDone, bytesTotal }) =>
        context.progress({ phase: 'Verify backup', done: bytesDone, total: bytesTotal, unit: 'bytes' }),
    },
  );
}

/**
 * What a second look explains is no fault: a description that was changed while it was verified. What cannot be looked
 * at is not missing: a directory that nobody may enter, a disk that does not answer.
 */
async function lookAgain(
  { paths, backup }: VerifyOrder,
  findings: readonly VerifyFinding[],
  signal: AbortSignal,
): Promise<VerifyFinding[]> {
  const checked: VerifyFinding[] = [];
  for (const finding of findings) {
    if (finding.path === BACKUP_FILES.info && (await descriptionIsRight(paths, backup, signal))) continue;
    if (finding.reason !== 'missing') checked.push(finding);
    else {
      const why = await lstat(join(backup.directory, finding.path)).catch((error: NodeJS.ErrnoException) => error);
      if (!(why instanceof Error) || why.code === 'ENOENT') checked.push(finding);
      else checked.push({ ...finding, reason: 'unreadable', message: why.message });
    }
  }
  return checked;
}

async function descriptionIsRight(
  paths: ServerPaths,
  { directory }: StoredBackup,
  signal: AbortSignal,
): Promise<boolean> {
  const refusal = 'REPOSITORY_LOCKED';
  const held = await lockPatiently(paths.infoLock, 'exclusive', 'verification', refusal, INFO_PATIENCE, signal);
  try {
    const text = await readFile(join(directory, BACKUP_FILES.info));
    const digest = createHash('sha512').update(text).digest('hex');
    return digest === (await listedInfoDigest(join(directory, BACKUP_FILES.sha512)));
  } catch {
    return false;
  } finally {
    held.release();
  }
}

/**
 * A description that is damaged itself says from now on that the backup is not valid, and nothing else of it changes: its
 * digest in `backup.sha512` stays what an undamaged copy can be told by.
 */
async function condemnDescription({ paths, server, backup }: VerifyOrder, context: JobContext): Promise<false> {
  const place = join(backup.directory, BACKUP_FILES.info);
  const held = await lockPatiently(
    paths.infoLock,
    'exclusive',
    `verify of ${server}`,
    'REPOSITORY_LOCKED',
    INFO_PATIENCE,
    context.signal,
  );
  try {
    const text = await readFile(place, 'latin1').catch(() => '');
    if (/^STATUS=1$/m.test(text)) {
      await writeFileDurable(place, Buffer.from(text.replace(/^STATUS=1$/m, 'STATUS=0'), 'latin1'), { replace: true });
    }
  } finally {
    held.release();
  }
  context.log('error', `${place} is damaged: put it back from another copy, or delete the backup`, { server });
  return false;
}

/** @returns whether the backup is valid now */
async function settle(
  order: VerifyOrder,
  { result, message }: Verdict,
  before: Verification | undefined,
  context: JobContext,
): Promise<boolean> {
  const { paths, server, backup } = order;
  const was = isValid(backup);
  const what = `verify of ${server}`;
  if (was && result === 'damaged') {
    await rewriteBackupInfo(paths, backup.label, (info) => ({ ...info, status: false }), what, context.signal);
    const heirs = (await listBackups(paths)).filter(({ info }) => info?.incremental && info.parent === backup.label);
    const others = heirs.map(({ label }) => label).join(', ');
    context.log(
      'error',
      `backup ${backup.label} of ${server} is not valid any more: ${message}${others ? `; ${others} builds upon it` : ''}`,
    );
    return false;
  }
  const condemned = before?.result === 'damaged' && before.healable && backup.info.status === false;
  if (condemned && result === 'good') {
    await rewriteBackupInfo(paths, backup.label, (info) => ({ ...info, status: true }), what, context.signal);
    context.log('warn', `backup ${backup.label} of ${server} has no fault any more: it is valid again`);
    return true;
  }
  return was;
}
