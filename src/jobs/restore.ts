import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EffectiveServer } from '../config/of-server.js';
import { PgmonetaError } from '../errors/index.js';
import type { ReuseReport } from '../native/restore.js';
import { ancestorsOf } from '../repository/ancestors.js';
import { type KnownBackup, listBackups } from '../repository/catalogue.js';
import { leaseBackups } from '../repository/leases.js';
import { lock, lockPatiently } from '../repository/locks.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { restoreExtra } from '../restore/extra.js';
import { finalOf } from '../restore/place.js';
import { type Position, parsePosition } from '../restore/position.js';
import { type PrimaryConnection, recoverySettings } from '../restore/recovery-settings.js';
import { fetchCommand } from '../restore/restore-command.js';
import { type RestoreOrder, type RestoreResult, rehearseRestore, runRestore } from '../restore/run.js';
import { targetLockName } from '../restore/target.js';
import { chainLabels, usableBackupOf } from './backups.js';
import type { Job, JobContext } from './context.js';
import type { JsonObject } from './messages.js';
import { CATALOGUE_PATIENCE } from './remove-backup.js';
import { flag, optionalText, requiredText, textMap } from './request.js';
import { isChoice } from './restore-choice.js';
import { rehearsalFields, restoreResponse, reuseFields } from './restore-response.js';
import { planRestoreWal, type RestoreWalPlan } from './restore-wal.js';
import { serverOf, workerCount } from './servers.js';

/** How long a restore waits for a removal of WAL to end, in milliseconds. */
const WAL_PATIENCE = 60_000;

const PROGRAM = fileURLToPath(new URL('../../bin/pgmoneta-cli.js', import.meta.url));

/** Restores a backup, and the WAL that leads to a target, to `<directory>/<server>-<label>`. */
export const restoreJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'RESTORE_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  const wish = readWish(request, server);
  const what = `restore of ${server.name}`;
  const { signal } = context;
  const catalogue = await lockPatiently(
    paths.catalogueLock,
    'shared',
    what,
    'RESTORE_ACTIVE',
    CATALOGUE_PATIENCE,
    signal,
  );
  const held = [catalogue];
  try {
    held.push(await lockPatiently(paths.walLock, 'shared', what, 'RESTORE_ACTIVE', WAL_PATIENCE, signal));
    const found = await choose(paths, server, wish, context);
    // From here on only what is read is kept from being removed.
    held.push(await leaseBackups(paths, await chainLabels(paths, found.backup.label), what, 'RESTORE_ACTIVE'));
    catalogue.release();
    for (const warning of found.plan?.warnings ?? []) context.log('warn', `restore of ${server.name}: ${warning}`);
    const order = orderOf(server, wish, found, context);
    if (wish.rehearsal) {
      const { directory, fileSystems, reuse, warnings } = await rehearseRestore(order);
      return {
        ...restoreResponse(server, found.backup, directory, wish.position, found.plan, warnings),
        ...rehearsalFields(fileSystems, found.plan),
        ...reuseFields(reuse, true),
      };
    }
    const { directory, report } = await carryOut(paths, order, context);
    return {
      ...restoreResponse(server, found.backup, directory, wish.position, found.plan, report.warnings),
      ...reuseFields(report.reuse, false),
      ...(await bringExtra(server.name, found.backup, wish.extra, context)),
    };
  } catch (error) {
    throw cancelledAs(error, context, `the restore of ${server.name} was cancelled; nothing of it was kept`);
  } finally {
    for (const one of held.reverse()) one.release();
  }
};

/** What the request asks for. */
interface Wish {
  readonly identifier: string;
  readonly root: string;
  readonly position: Position;
  readonly force: boolean;
  readonly delta: boolean;
  readonly fetch: boolean;
  readonly rehearsal: boolean;
  readonly tablespaceMap: Readonly<Record<string, string>>;
  readonly relativeLinks: boolean;
  readonly allowMixedChecksums: boolean;
  /** Where the files go that the backup has beside the cluster; undefined leaves them where they are. */
  readonly extra: string | undefined;
}

/** What can be refused without looking at anything is refused here. */
function readWish(request: JsonObject, server: EffectiveServer): Wish {
  const position = parsePosition(optionalText(request, 'Position'));
  recoverySettings(position, primaryOf(server, ''));
  const wal = optionalText(request, 'Wal') ?? 'copy';
  if (wal !== 'copy' && wal !== 'fetch') {
    throw new PgmonetaError('RESTORE_ERROR', `'${wal}' is no way to bring WAL`, { hint: 'use copy or fetch' });
  }
  if (wal === 'fetch' && position.target.kind === 'none' && position.role === 'primary') {
    throw new PgmonetaError('RESTORE_ERROR', 'without a position there is no WAL to be fetched', {
      hint: 'add current, immediate, name=, xid=, lsn= or time=',
    });
  }
  return {
    identifier: requiredText(request, 'Backup', 'RESTORE_NOBACKUP'),
    root: requiredText(request, 'Directory', 'RESTORE_ERROR'),
    position,
    force: flag(request, 'Force'),
    delta: flag(request, 'Delta'),
    fetch: wal === 'fetch',
    rehearsal: flag(request, 'DryRun'),
    tablespaceMap: textMap(request, 'TablespaceMap'),
    relativeLinks: flag(request, 'RelativeLinks'),
    allowMixedChecksums: flag(request, 'AllowMixedChecksums'),
    extra: optionalText(request, 'Extra'),
  };
}

function primaryOf({ name, host, port, user }: EffectiveServer, label: string): PrimaryConnection {
  return { host, port, user, applicationName: `${name}-${label}` };
}

interface Found {
  readonly backup: KnownBackup;
  /** What it builds on, its parent first. */
  readonly ancestors: readonly KnownBackup[];
  /** Undefined when no position asks for WAL. */
  readonly plan: RestoreWalPlan | undefined;
}

async function choose(paths: ServerPaths, server: EffectiveServer, wish: Wish, context: JobContext): Promise<Found> {
  const { identifier, position, fetch, force } = wish;
  const named = await usableBackupOf(
    paths,
    server.name,
    identifier,
    'RESTORE_NOBACKUP',
    force && !isChoice(identifier),
  );
  const workers = workerCount(server.workers, availableParallelism());
  const plan = await planRestoreWal({ paths, identifier, position, fetch, workers, context, named });
  const backup = plan?.backup ?? named;
  const ancestors = ancestorsOf(await listBackups(paths), backup, force && !isChoice(identifier));
  return { backup, ancestors, plan };
}

function orderOf(
  server: EffectiveServer,
  wish: Wish,
  { backup, ancestors, plan }: Found,
  context: JobContext,
): RestoreOrder {
  const { root, position, force, tablespaceMap, relativeLinks, fetch } = wish;
  const configuration = context.configuration.files.main;
  const command = { node: process.execPath, program: PROGRAM, configuration, server: server.name, home: homedir() };
  return {
    tablespaceMap,
    relativeLinks,
    delta: wish.delta,
    backup,
    ancestors,
    allowMixedChecksums: wish.allowMixedChecksums,
    server: server.name,
    root,
    position,
    wal: plan?.order,
    restoreCommand: fetch ? fetchCommand(command) : undefined,
    primary: primaryOf(server, backup.label),
    force,
    workers: workerCount(server.workers, availableParallelism()),
    masterSecret: context.masterSecret,
    signal: context.signal,
    onProgress: (done, total) => context.progress({ phase: 'Restore backup', done, total, unit: 'bytes' }),
    onCompareProgress: (done, total) => context.progress({ phase: 'Compare', done, total, unit: 'bytes' }),
    onWalProgress: (done, total) => context.progress({ phase: 'Copy WAL', done, total, unit: 'bytes' }),
    onSettled: (outcome) =>
      context.log('warn', `an interrupted restore of ${server.name}-${backup.label} was ${outcome} before this one`),
  };
}

async function carryOut(paths: ServerPaths, order: RestoreOrder, context: JobContext): Promise<RestoreResult> {
  const { server, backup } = order;
  const final = await finalOf(order);
  const targetLockPath = join(paths.root, targetLockName(final));
  const held = await lock(targetLockPath, 'exclusive', `restore to ${final}`, 'RESTORE_ACTIVE');
  try {
    const result = await runRestore(order);
    const { directory, report } = result;
    for (const warning of report.warnings) context.log('warn', `restore of ${server}-${backup.label}: ${warning}`);
    context.log('info', `restored backup ${backup.label} of ${server} to ${directory}`, {
      files: report.files,
      combined: report.combined,
      bytes: report.bytes,
      segments: order.wal?.segments.length ?? 0,
      ...(report.reuse === undefined ? {} : keptAndWritten(report.reuse)),
    });
    return result;
  } finally {
    held.release();
  }
}

/** For the log. */
function keptAndWritten({ kept, rewritten, added, removed }: ReuseReport): Record<string, number> {
  return {
    keptFiles: kept.files,
    keptBytes: kept.bytes,
    writtenFiles: rewritten.files + added.files,
    writtenBytes: rewritten.bytes + added.bytes,
    removedFiles: removed.files,
  };
}

/** The cluster is complete by now: what goes wrong here is told, and takes nothing back. */
async function bringExtra(
  server: string,
  backup: KnownBackup,
  directory: string | undefined,
  context: JobContext,
): Promise<JsonObject> {
  if (directory === undefined) return {};
  context.progress({ phase: 'Extra files', done: 0, total: 0, unit: 'bytes' });
  const { files, problems } = await restoreExtra(backup, directory, context);
  for (const problem of problems) context.log('warn', `restore of ${server}-${backup.label}: ${problem}`);
  return { ExtraFiles: files, ...(problems.length === 0 ? {} : { ExtraProblems: [...problems] }) };
}

function cancelledAs(error: unknown, context: JobContext, message: string): unknown {
  if (!context.signal.aborted) return error;
  return new PgmonetaError('RESTORE_CANCELLED', message, { cause: error, retryable: true });
}
