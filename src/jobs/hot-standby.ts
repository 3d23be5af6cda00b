import { availableParallelism } from 'node:os';
import { type EffectiveServer, type HotStandby, hotStandbysOf } from '../config/of-server.js';
import { asPgmonetaError } from '../errors/index.js';
import type { LockHandle } from '../native/fs.js';
import type { BackupChain } from '../native/restore.js';
import { ancestorsOf } from '../repository/ancestors.js';
import { isValid, type KnownBackup, listBackups } from '../repository/catalogue.js';
import { type KnownHotStandby, readHotStandbys, rememberHotStandbys } from '../repository/hot-standbys.js';
import { leaseBackups } from '../repository/leases.js';
import { lockPatiently } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { type CopyOutcome, updateCopy } from '../restore/hot-standby.js';
import { openChain } from '../restore/open-chain.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { serverOf, workerCount } from './servers.js';

/** What came of one directory. */
export interface HotStandbyOutcome {
  readonly directory: string;
  /** Undefined when it failed. */
  readonly outcome: CopyOutcome | undefined;
  /** Why it failed, and what to do next. */
  readonly problem: string | undefined;
}

/** How an update came about. */
export interface HotStandbyWish {
  /** After a backup, every copy is renewed; otherwise one that somebody has started or changed is left alone. */
  readonly keepTouched: boolean;
  /** How long to wait for another update of the server, in milliseconds. */
  readonly patience: number;
}

/** Brings the hot standbys of a server that are behind to the newest backup: what a killed update left undone. */
export const hotStandbyJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'BACKUP_NOSERVER');
  const outcomes = await updateHotStandbys(server, context, { keepTouched: true, patience: 0 });
  context.signal.throwIfAborted();
  return { ...hotStandbyFields(outcomes), Server: server.name };
};

/**
 * Brings each hot standby of a server to its newest valid backup. What fails for one directory is told, remembered, and
 * holds up no other; nothing of it is an error of the caller's.
 * @throws PgmonetaError HOT_STANDBY when another update is at work; never after a backup
 */
export async function updateHotStandbys(
  server: EffectiveServer,
  context: JobContext,
  { keepTouched, patience }: HotStandbyWish,
): Promise<readonly HotStandbyOutcome[]> {
  const standbys = hotStandbysOf(server);
  if (standbys.length === 0) return [];
  const { signal } = context;
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const what = `hot standby of ${server.name}`;
  const outcomes: HotStandbyOutcome[] = [];
  const held: LockHandle[] = [];
  try {
    held.push(await lockPatiently(paths.hotStandbyLock, 'exclusive', what, 'HOT_STANDBY', patience, signal));
    const chosen = await choose(paths, what, context);
    if (chosen === undefined) return [];
    held.push(chosen.lease);
    for (const index of standbys.keys()) {
      outcomes.push(await updateOne(server, standbys, index, chosen, keepTouched, context));
    }
    await remember(paths, outcomes).catch((error) =>
      context.log('warn', `${paths.hotStandbys} could not be written: ${asPgmonetaError(error).message}`),
    );
    return outcomes;
  } catch (error) {
    if (keepTouched && held.length === 0) throw error;
    // No directory could be begun with: all of them have the same problem.
    const problem = tell(error, signal);
    context.log('warn', `hot standbys of ${server.name} are not renewed: ${problem}`);
    return standbys.map(({ directory }) => ({ directory, outcome: undefined, problem }));
  } finally {
    for (const one of held.reverse()) one.release();
  }
}

interface Chosen {
  readonly backup: KnownBackup;
  readonly ancestors: readonly KnownBackup[];
  readonly lease: LockHandle;
  /** Opens them once for all directories. */
  readonly chain: () => Promise<BackupChain>;
}

/** The newest valid backup with what it builds upon, leased. */
async function choose(
  paths: ServerPaths,
  what: string,
  { masterSecret, signal }: JobContext,
): Promise<Chosen | undefined> {
  const patience = CATALOGUE_PATIENCE;
  const catalogue = await lockPatiently(paths.catalogueLock, 'shared', what, 'HOT_STANDBY', patience, signal);
  try {
    const backups = await listBackups(paths);
    const backup = backups.findLast(isValid);
    if (backup === undefined) return undefined;
    const ancestors = ancestorsOf(backups, backup, false);
    const labels = [backup, ...ancestors].map(({ label }) => label);
    const lease = await leaseBackups(paths, labels, what, 'HOT_STANDBY');
    let opened: Promise<BackupChain> | undefined;
    const chain = (): Promise<BackupChain> => {
      opened ??= openChain({ backup, ancestors, masterSecret, allowMixedChecksums: false });
      return opened;
    };
    return { backup, ancestors, lease, chain };
  } finally {
    catalogue.release();
  }
}

async function updateOne(
  server: EffectiveServer,
  standbys: readonly HotStandby[],
  index: number,
  { backup, ancestors, chain }: Chosen,
  keepTouched: boolean,
  context: JobContext,
): Promise<HotStandbyOutcome> {
  const standby = standbys[index] as HotStandby;
  const { directory } = standby;
  const name = `hot standby ${directory} of ${server.name}`;
  const share = (part: number, total: number): void =>
    context.progress({
      phase: 'Hot standby',
      done: index * total + part,
      total: standbys.length * total,
      unit: 'bytes',
    });
  try {
    context.signal.throwIfAborted();
    const outcome = await updateCopy({
      server: server.name,
      standby,
      before: standbys.slice(0, index).map(({ mappings }) => mappings),
      backup,
      ancestors,
      baseDir: context.configuration.main.base_dir,
      chain,
      workers: workerCount(server.workers, availableParallelism()),
      keepTouched,
      signal: context.signal,
      onProgress: share,
      warn: (message) => context.log('warn', `${name}: ${message}`),
    });
    if (outcome.result === 'updated') {
      const { files, bytes, filesKept, bytesKept } = outcome;
      context.log('info', `${name} is at backup ${backup.label}`, { files, bytes, filesKept, bytesKept });
    }
    return { directory, outcome, problem: undefined };
  } catch (error) {
    const problem = tell(error, context.signal);
    context.log('warn', `${name} is not at backup ${backup.label}: ${problem}`);
    return { directory, outcome: undefined, problem };
  }
}

/** An error with what to do next; when the job was cancelled, that is all there is to say. */
function tell(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) {
    return `cancelled (${asPgmonetaError(signal.reason).message}); the copy is what it was, the daemon sees to it later`;
  }
  const { message, hint } = asPgmonetaError(error);
  return hint === undefined ? message : `${message}; ${hint}`;
}

/** Directories that are configured no more are forgotten. */
async function remember(paths: ServerPaths, outcomes: readonly HotStandbyOutcome[]): Promise<void> {
  const before = await readHotStandbys(paths);
  const at = new Date();
  const known = outcomes.map(({ directory, outcome, problem }): readonly [string, KnownHotStandby] => {
    const last = before.get(directory) ?? { at, backup: '', files: 0, bytes: 0, problem: '' };
    if (outcome === undefined) return [directory, { ...last, at, problem: problem ?? '' }];
    if (outcome.result === 'kept') return [directory, last];
    const { backup, files, bytes } = outcome;
    const figures = outcome.result === 'updated' ? { files, bytes } : {};
    return [directory, { ...last, at, backup, ...figures, problem: '' }];
  });
  await rememberHotStandbys(paths, new Map(known));
}

/** Keys of a reply that tell what came of each hot standby; none when there are no hot standbys. */
export function hotStandbyFields(outcomes: readonly HotStandbyOutcome[]): JsonObject {
  if (outcomes.length === 0) return {};
  return {
    HotStandby: outcomes.map(({ directory, outcome, problem }): JsonObject => {
      if (outcome === undefined) return { Directory: directory, Problem: problem ?? '', Result: 'failed' };
      const { result, backup, files, bytes, filesKept, bytesKept } = outcome;
      const figures = { Files: files, FilesKept: filesKept, HotStandbySize: bytes, KeptSize: bytesKept };
      return { Backup: backup, Directory: directory, ...(result === 'updated' ? figures : {}), Result: result };
    }),
  };
}

/** The same for a job that has not come to them yet. */
export function pendingHotStandbys(server: EffectiveServer): JsonObject {
  const problem = 'the process ended before the copy was renewed; the daemon sees to it';
  return hotStandbyFields(hotStandbysOf(server).map(({ directory }) => ({ directory, outcome: undefined, problem })));
}
