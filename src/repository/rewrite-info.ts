import { readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { syncDirectory, writeFileDurable } from '../native/fs.js';
import { type BackupInfo, formatBackupInfo, parseBackupInfo } from './backup-info.js';
import { makeDirectories } from './directories.js';
import { copyHashList, sha512Of } from './hash-list.js';
import { isBackupLabel } from './label.js';
import { lockPatiently } from './locks.js';
import { BACKUP_FILES, type ServerPaths } from './paths.js';

/** How long a rewrite waits for another one, in milliseconds; each takes as long as copying a hash list. */
const PATIENCE = 60_000;

/** One step of a rewrite; a process can die before, in, or after it. */
export interface RewriteStep {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/**
 * Replaces `backup.info` and its line in `backup.sha512`. No system replaces two files at once; so what is to stand in
 * `backup.info` is first written down durably in `.rewrite/`: from then on the change happens, if not now then by
 * {@link finishRewrites}. Until then nothing has changed.
 * @param text the new `backup.info`
 */
export function rewriteSteps(paths: ServerPaths, label: string, text: string): RewriteStep[] {
  const directory = join(paths.backups, label);
  const journal = join(paths.rewrite, `${label}.info`);
  const list = join(paths.rewrite, `${label}.sha512`);
  return [
    { name: 'copy the hash list', run: () => copyHashList(join(directory, BACKUP_FILES.sha512), list, sha512Of(text)) },
    { name: 'write the journal', run: () => writeFileDurable(journal, text) },
    ...carryOut(paths, label, text),
  ];
}

/** The steps after the point of no return; `list` has to be there. */
function carryOut(paths: ServerPaths, label: string, text: string): RewriteStep[] {
  const directory = join(paths.backups, label);
  const journal = join(paths.rewrite, `${label}.info`);
  const list = join(paths.rewrite, `${label}.sha512`);
  return [
    { name: 'replace backup.info', run: () => writeFileDurable(join(directory, BACKUP_FILES.info), text) },
    {
      name: 'replace backup.sha512',
      run: async () => {
        await rename(list, join(directory, BACKUP_FILES.sha512));
        await syncDirectory(directory);
      },
    },
    {
      name: 'remove the journal',
      run: async () => {
        await unlink(journal);
        await syncDirectory(paths.rewrite);
      },
    },
  ];
}

/**
 * Gives a backup that is not published yet another description: `backup.info` and its line in `backup.sha512`. A kill in
 * between leaves one that does not agree with the other, which is why it must not stand in `backup/`.
 * @throws PgmonetaError IO, NO_SPACE
 */
export async function describeUnpublished(directory: string, info: BackupInfo): Promise<void> {
  const text = formatBackupInfo(info);
  const list = join(directory, BACKUP_FILES.sha512);
  try {
    await copyHashList(list, `${list}.new`, sha512Of(text));
    await writeFileDurable(join(directory, BACKUP_FILES.info), text);
    await rename(`${list}.new`, list);
    await syncDirectory(directory);
  } catch (error) {
    throw failure(`the description in ${directory} could not be changed`, error as Error);
  }
}

/**
 * Changes the description of a backup: `backup.info` and its line in `backup.sha512`, both or neither, whenever the
 * process is killed. The catalogue lock, or a lease of the backup, has to be held, so that nobody removes the backup meanwhile.
 * @param change gives the new content, or undefined to leave all as it is; it sees what is on disk now
 * @param verb for whoever has to wait: `retain of primary`
 * @returns what stands there now
 * @throws PgmonetaError REPOSITORY_DAMAGED, IO, NO_SPACE, REPOSITORY_LOCKED, CANCELLED
 */
export async function rewriteBackupInfo(
  paths: ServerPaths,
  label: string,
  change: (info: BackupInfo) => BackupInfo | undefined,
  verb: string,
  signal: AbortSignal,
): Promise<BackupInfo> {
  const held = await lockPatiently(paths.infoLock, 'exclusive', verb, 'REPOSITORY_LOCKED', PATIENCE, signal);
  try {
    await carryOutJournals(paths);
    const path = join(paths.backups, label, BACKUP_FILES.info);
    const old = parseBackupInfo(await readInfo(path), path);
    const info = change(old);
    if (info === undefined) return old;
    await makeDirectories(paths.rewrite);
    for (const { name, run } of rewriteSteps(paths, label, formatBackupInfo(info))) {
      await run().catch((error: Error) => {
        throw failure(`${path} could not be changed (${name})`, error);
      });
    }
    return info;
  } finally {
    held.release();
  }
}

async function readInfo(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw failure(`${path} cannot be read`, error);
  });
}

function failure(what: string, error: Error): PgmonetaError {
  const code = error instanceof PgmonetaError ? error.code : (error as NodeJS.ErrnoException).code;
  return new PgmonetaError(code === 'ENOSPC' || code === 'NO_SPACE' ? 'NO_SPACE' : 'IO', `${what}: ${error.message}`, {
    cause: error,
    hint: 'mend the cause, then try again; a change that was begun is carried out or forgotten as a whole',
  });
}

/**
 * Carries out the rewrites that were decided and cut off, and forgets those that were not decided yet.
 * @returns labels of the backups whose description was brought to its end
 */
export async function finishRewrites(paths: ServerPaths, verb: string, signal: AbortSignal): Promise<string[]> {
  if ((await leftovers(paths)).length === 0) return [];
  const held = await lockPatiently(paths.infoLock, 'exclusive', verb, 'REPOSITORY_LOCKED', PATIENCE, signal);
  try {
    return await carryOutJournals(paths);
  } finally {
    held.release();
  }
}

async function leftovers(paths: ServerPaths): Promise<string[]> {
  return readdir(paths.rewrite).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw failure(`${paths.rewrite} cannot be read`, error);
  });
}

async function carryOutJournals(paths: ServerPaths): Promise<string[]> {
  const names = await leftovers(paths);
  const labels = names
    .filter((name) => name.endsWith('.info'))
    .map((name) => name.slice(0, -'.info'.length))
    .filter(isBackupLabel);
  const done: string[] = [];
  for (const label of labels) if (await finishOne(paths, label)) done.push(label);
  for (const name of await leftovers(paths)) await unlink(join(paths.rewrite, name));
  return done;
}

/** A backup that went after its journal was written needs nothing any more. */
async function finishOne(paths: ServerPaths, label: string): Promise<boolean> {
  const directory = join(paths.backups, label);
  const list = join(directory, BACKUP_FILES.sha512);
  const found = await stat(list).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw failure(`${list} cannot be looked at`, error);
  });
  if (found === undefined) return false;
  const text = await readFile(join(paths.rewrite, `${label}.info`), 'utf8');
  await copyHashList(list, join(paths.rewrite, `${label}.sha512`), sha512Of(text));
  for (const { run } of carryOut(paths, label, text)) await run();
  return true;
}
