import { chmod, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freeSpace, syncTree } from '../native/fs.js';
import { planRestore, type RestoreReport, restoreBackup } from '../native/restore.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { cipherOfCode } from '../repository/codes.js';
import { writeTextDurable } from '../repository/durable.js';
import type { Position } from './position.js';
import { publish, settlePublication } from './publish.js';
import { editAutoConf, type PrimaryConnection, type RecoverySettings, recoverySettings } from './recovery-settings.js';
import { checkRestoreSpace, type FileSystemDemand } from './space.js';
import { checkTargets, type PlacementOptions, planTarget, removeLeftovers, type TargetPlan } from './target.js';
import { copyWal, type WalOrder } from './wal.js';

/** What is to be restored, and where to. */
export interface RestoreOrder extends PlacementOptions {
  readonly backup: KnownBackup;
  /** What the backup builds on, its parent first and a full backup last; empty for a full backup. */
  readonly ancestors: readonly KnownBackup[];
  /** Accept that page checksums were enabled between two backups of the chain. */
  readonly allowMixedChecksums: boolean;
  readonly server: string;
  readonly root: string;
  readonly position: Position;
  /** WAL from after the backup; undefined when what the backup brings is all that is needed. */
  readonly wal: WalOrder | undefined;
  /** Fetches WAL that is not copied; undefined when there is none. */
  readonly restoreCommand: string | undefined;
  readonly primary: PrimaryConnection;
  readonly force: boolean;
  /** Threads; at least 1. */
  readonly workers: number;
  readonly masterSecret: Buffer | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  /** Bytes of WAL that were copied, and all that are. */
  readonly onWalProgress: (done: number, total: number) => void;
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
interface RestorePlan {
  readonly target: TargetPlan;
  readonly settings: RecoverySettings;
  readonly existing: readonly string[];
  readonly fileSystems: readonly FileSystemDemand[];
}

/** Computes the plan of a restore, refusing what cannot work. */
async function planRestoreOrder(order: RestoreOrder, target: TargetPlan, create: boolean): Promise<RestorePlan> {
  const settings = recoverySettings(order.position, order.primary, order.restoreCommand);
  const existing = await checkTargets(target, order.force);
  const { masterSecret, allowMixedChecksums } = order;
  const sizes = await planRestore(directoriesOf(order), { masterSecret, allowMixedChecksums });
  const ofTablespace = (oid: string): number => sizes.tablespaces.find((entry) => entry.oid === oid)?.bytes ?? 0;
  const walBytes = (order.wal?.segments.length ?? 0) * (order.wal?.segmentSize ?? 0);
  const fileSystems = await checkRestoreSpace(
    [
      { directory: target.final, bytes: sizes.baseBytes + walBytes },
      ...target.tablespaces.map((entry) => ({ directory: entry.final, bytes: ofTablespace(entry.oid) })),
    ],
    freeSpace,
    create,
  );
  return { target, settings, existing, fileSystems };
}

/** Newest first. */
function directoriesOf({ backup, ancestors }: RestoreOrder): readonly string[] {
  return [backup, ...ancestors].map(({ directory }) => directory);
}

function targetOf(order: RestoreOrder): TargetPlan {
  return planTarget(order.root, order.server, order.backup.label, order.backup.info.tablespaces, order);
}

/** What a restore would make, and what it would take; nothing is changed. */
export async function rehearseRestore(
  order: RestoreOrder,
): Promise<{ readonly directory: string; readonly fileSystems: readonly FileSystemDemand[] }> {
  const target = targetOf(order);
  const { fileSystems } = await planRestoreOrder(order, target, false);
  return { directory: target.final, fileSystems };
}

/**
 * Restores a backup, with all that it builds on, and the WAL that leads to the target: every byte is checked on its
 * way, `pg_control` and then the name of the directory come last, and a failure leaves nothing that looks like a cluster.
 */
export async function runRestore(order: RestoreOrder): Promise<RestoreResult> {
  const target = targetOf(order);
  const settled = await settlePublication(target.final);
  if (settled !== 'none') order.onSettled(settled);
  const plan = await planRestoreOrder(order, target, true);
  await removeLeftovers(plan.target);
  try {
    const report = await writeCluster(order, plan);
    order.signal.throwIfAborted();
    await publish(plan.target, plan.existing);
    return {
      directory: plan.target.final,
      report,
      tablespaces: plan.target.tablespaces.map(({ oid, final }) => ({ oid, directory: final })),
    };
  } catch (error) {
    await removeLeftovers(plan.target);
    throw error;
  }
}

async function writeCluster(order: RestoreOrder, plan: RestorePlan): Promise<RestoreReport> {
  const { building, tablespaces } = plan.target;
  const encryption = cipherOfCode(order.backup.info.encryption);
  const report = await restoreBackup(
    {
      backups: directoriesOf(order),
      allowMixedChecksums: order.allowMixedChecksums,
      target: building,
      tablespaces: tablespaces.map((entry) => ({
        oid: entry.oid,
        name: entry.stored,
        directory: entry.building,
        link: entry.link,
      })),
      workers: order.workers,
      ...(order.masterSecret === undefined ? {} : { masterSecret: order.masterSecret }),
      ...(encryption === undefined || encryption === 'none' ? {} : { encryption }),
    },
    { signal: order.signal, onProgress: ({ bytesDone, bytesTotal }) => order.onProgress(bytesDone, bytesTotal) },
  );
  if (order.wal !== undefined) {
    const { workers, masterSecret, signal, onWalProgress } = order;
    await copyWal(building, order.wal, { workers, masterSecret, signal, onProgress: onWalProgress });
  }
  if (await applySettings(building, plan.settings)) await syncTree(building);
  return report;
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
