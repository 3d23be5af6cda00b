import { access, chmod, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { freeSpace, syncTree } from '../native/fs.js';
import type { BackupChain, RestoreOptions, RestoreReport, ReuseReport } from '../native/restore.js';
import { writeTextDurable } from '../repository/durable.js';
import { deltaWarnings, existingOf, giveTree, writtenDemands } from './delta.js';
import { checkExchange } from './old-cluster.js';
import { type ChainSource, openChain } from './open-chain.js';
import { finalOf, type Place, type PlaceOrder, placeOf, requireSameCluster, unsettled } from './place.js';
import type { Position } from './position.js';
import { journalName, publish, settlePublication } from './publish.js';
import { editAutoConf, type PrimaryConnection, type RecoverySettings, recoverySettings } from './recovery-settings.js';
import { checkRestoreSpace, type FileSystemDemand, type SpaceDemand } from './space.js';
import { checkTargets, removeLeftovers } from './target.js';
import { copyWal, type WalOrder } from './wal.js';

/** What is to be restored, and where to. */
export interface RestoreOrder extends PlaceOrder, ChainSource {
  readonly position: Position;
  /** WAL from after the backup; undefined when what the backup brings is all that is needed. */
  readonly wal: WalOrder | undefined;
  /** Fetches WAL that is not copied; undefined when there is none. */
  readonly restoreCommand: string | undefined;
  readonly primary: PrimaryConnection;
  readonly force: boolean;
  /** Threads; at least 1. */
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  /** Bytes of WAL that were copied, and all that are. */
  readonly onWalProgress: (done: number, total: number) => void;
  /** Bytes of the cluster that were compared with the one that is there, and all of them. */
  readonly onCompareProgress: (done: number, total: number) => void;
  /** Told when an earlier restore to the same place had been cut short while it gave its directories their names. */
  readonly onSettled: (outcome: 'completed' | 'taken back') => void;
}

/** What a restore made. */
export interface RestoreResult {
  /** The data directory. */
  readonly directory: string;
  readonly report: RestoreReport;
  readonly tablespaces: readonly { readonly oid: string; readonly directory: string }[];
}

/** Everything that is decided before a byte is written. */
interface RestorePlan extends Place {
  readonly chain: BackupChain;
  readonly settings: RecoverySettings;
  readonly existing: readonly string[];
  readonly fileSystems: readonly FileSystemDemand[];
  /** What is kept of the old cluster, when that had to be found out. */
  readonly reuse: ReuseReport | undefined;
}

/** Computes the plan of a restore, refusing what cannot work. */
async function planRestoreOrder(order: RestoreOrder, rehearsal: boolean): Promise<RestorePlan> {
  const settings = recoverySettings(order.position, order.primary, order.restoreCommand);
  const place = await placeOf(order);
  const { target, old } = place;
  const own = [old?.directory ?? [], old?.tablespaces.map(({ directory }) => directory) ?? []].flat();
  const existing = await checkTargets(target, order.force, own);
  if (old !== undefined) await checkExchange(old, existing);
  const { backup, ancestors, masterSecret, allowMixedChecksums } = order;
  const chain = await openChain({ backup, ancestors, masterSecret, allowMixedChecksums });
  const sizes = await chain.plan();
  if (old !== undefined) requireSameCluster(old, order.backup.label, sizes.systemIdentifier);
  const ofTablespace = (oid: string): number => sizes.tablespaces.find((entry) => entry.oid === oid)?.bytes ?? 0;
  const walBytes = (order.wal?.segments.length ?? 0) * (order.wal?.segmentSize ?? 0);
  const whole = [
    { directory: target.final, bytes: sizes.baseBytes + walBytes },
    ...target.tablespaces.map((entry) => ({ directory: entry.final, bytes: ofTablespace(entry.oid) })),
  ];
  const space = await provideSpace(order, chain, place, whole, walBytes, rehearsal);
  return { ...place, chain, settings, existing, ...space };
}

/**
 * Looks for the space. A restore beside an old cluster may need less than the whole: how much is found out when that is
 * asked for, or when the whole does not fit.
 */
async function provideSpace(
  order: RestoreOrder,
  chain: BackupChain,
  place: Place,
  whole: readonly SpaceDemand[],
  walBytes: number,
  rehearsal: boolean,
): Promise<Pick<RestorePlan, 'fileSystems' | 'reuse'>> {
  const check = (demands: readonly SpaceDemand[]) => checkRestoreSpace(demands, freeSpace, !rehearsal);
  if (place.old === undefined) return { fileSystems: await check(whole), reuse: undefined };
  if (!rehearsal) {
    const fileSystems = await check(whole).catch((error: unknown) => {
      if (error instanceof PgmonetaError && error.code === 'RESTORE_NODISK') return undefined;
      throw error;
    });
    if (fileSystems !== undefined) return { fileSystems, reuse: undefined };
  }
  const { signal, onCompareProgress } = order;
  const reuse = await chain.compare(nativeOrder(order, place), {
    signal,
    onProgress: ({ bytesDone, bytesTotal }) => onCompareProgress(bytesDone, bytesTotal),
  });
  return { fileSystems: await check(writtenDemands(place.target, reuse, walBytes)), reuse };
}

/** What a restore would make, and what it would take. */
export interface Rehearsal {
  /** The data directory. */
  readonly directory: string;
  readonly fileSystems: readonly FileSystemDemand[];
  /** With `delta`: what would be kept of the old cluster. */
  readonly reuse: ReuseReport | undefined;
  readonly warnings: readonly string[];
}

/** Finds out what a restore would do; nothing is changed. */
export async function rehearseRestore(order: RestoreOrder): Promise<Rehearsal> {
  const final = await finalOf(order);
  const interrupted = await access(journalName(final)).then(
    () => true,
    () => false,
  );
  if (order.delta && interrupted) throw unsettled(final);
  const { target, old, fileSystems, reuse } = await planRestoreOrder(order, true);
  const warnings = old === undefined || reuse === undefined ? [] : deltaWarnings(old, target, reuse);
  return { directory: target.final, fileSystems, reuse, warnings };
}

/**
 * Restores a backup, with all that it builds on, and the WAL that leads to the target: every byte is checked on its
 * way, `pg_control` and then the name of the directory come last, and a failure leaves nothing that looks like a cluster.
 */
export async function runRestore(order: RestoreOrder): Promise<RestoreResult> {
  const settled = await settlePublication(await finalOf(order));
  if (settled !== 'none') order.onSettled(settled);
  const plan = await planRestoreOrder(order, false);
  const { target, old } = plan;
  await removeLeftovers(target);
  try {
    const report = await writeCluster(order, plan);
    order.signal.throwIfAborted();
    const guard = old === undefined ? undefined : { directory: old.directory, control: old.control };
    await publish(target, plan.existing, guard);
    return {
      directory: target.final,
      report,
      tablespaces: target.tablespaces.map(({ oid, final }) => ({ oid, directory: final })),
    };
  } catch (error) {
    await removeLeftovers(target);
    throw error;
  }
}

/** The order as the core takes it. */
function nativeOrder(order: RestoreOrder, { target, old }: Place): RestoreOptions {
  return {
    target: target.building,
    tablespaces: target.tablespaces.map((entry) => ({
      oid: entry.oid,
      name: entry.stored,
      directory: entry.building,
      link: entry.link,
    })),
    workers: order.workers,
    ...(old === undefined ? {} : { existing: existingOf(old) }),
  };
}

async function writeCluster(order: RestoreOrder, plan: RestorePlan): Promise<RestoreReport> {
  const { target, old, settings } = plan;
  const { building } = target;
  const report = await plan.chain.restore(nativeOrder(order, plan), {
    signal: order.signal,
    onProgress: ({ bytesDone, bytesTotal }) => order.onProgress(bytesDone, bytesTotal),
  });
  if (order.wal !== undefined) {
    const { workers, masterSecret, signal, onWalProgress } = order;
    await copyWal(building, order.wal, { workers, masterSecret, signal, onProgress: onWalProgress });
  }
  let changed = await applySettings(building, settings);
  if (old !== undefined && old.owner.uid !== process.geteuid?.()) {
    for (const tree of [building, ...target.tablespaces.map((entry) => entry.building)]) {
      await giveTree(tree, old.owner);
      if (tree !== building) await syncTree(tree);
    }
    changed = true;
  }
  if (changed) await syncTree(building);
  if (old === undefined || report.reuse === undefined) return report;
  return { ...report, warnings: [...report.warnings, ...deltaWarnings(old, target, report.reuse)] };
}

/** Writes the recovery settings; returns whether anything was changed. */
async function applySettings(dataDirectory: string, settings: RecoverySettings): Promise<boolean> {
  const standby = join(dataDirectory, 'standby.signal');
  if (settings.signal === undefined) return false;
  const mode = (await stat(dataDirectory)).mode & 0o050 ? 0o640 : 0o600;
  const autoConf = join(dataDirectory, 'postgresql.auto.conf');
  const text = await readFile(autoConf, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  await writeTextDurable(autoConf, editAutoConf(text, settings));
  await chmod(autoConf, mode);
  await unlink(standby).catch(() => {});
  await rm(join(dataDirectory, 'recovery.signal'), { force: true });
  await writeFile(join(dataDirectory, settings.signal), '', { mode });
  return true;
}
