import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { type OldCluster, readOldCluster, realPlace } from './old-cluster.js';
import { journalName } from './publish.js';
import { type PlacementOptions, planPlaces, planTarget, type TargetPlan } from './target.js';

/** What decides where a restore goes. */
export interface PlaceOrder extends PlacementOptions {
  readonly server: string;
  readonly backup: KnownBackup;
  /** Directory that gets `<server>-<label>`; with `delta` the data directory itself. */
  readonly root: string;
  /** Replace a stopped cluster and take from it what is right already. */
  readonly delta: boolean;
}

/** Where a restore goes, and what it replaces. */
export interface Place {
  readonly target: TargetPlan;
  readonly old: OldCluster | undefined;
}

function restoredName({ server, backup }: PlaceOrder): string {
  return `${server}-${backup.label}`;
}

/** The data directory in the end. */
export async function finalOf(order: PlaceOrder): Promise<string> {
  return order.delta ? await realPlace(order.root) : join(order.root, restoredName(order));
}

/**
 * Computes where a restore goes.
 * @throws PgmonetaError RESTORE_SETUP, RESTORE_ERROR when it cannot go there, or when the cluster to be replaced is not one
 * of this backup's major version
 */
export async function placeOf(order: PlaceOrder): Promise<Place> {
  const { backup, server, root } = order;
  const { tablespaces, majorVersion } = backup.info;
  if (!order.delta) return { target: planTarget(root, server, backup.label, tablespaces, order), old: undefined };
  const final = await finalOf(order);
  const old = await readOldCluster(final, restoredName(order));
  if (old.majorVersion !== String(majorVersion)) {
    throw new PgmonetaError(
      'RESTORE_SETUP',
      `${final} is a cluster of PostgreSQL ${old.majorVersion}, backup ${backup.label} is one of PostgreSQL ${majorVersion}`,
      { hint: 'restore without --delta to another directory' },
    );
  }
  return { target: planPlaces(final, tablespaces, order, old.tablespaces), old };
}

/**
 * Refuses a cluster that the backup was not taken of.
 * @throws PgmonetaError RESTORE_SETUP with both system identifiers
 */
export function requireSameCluster(old: OldCluster, label: string, systemIdentifier: string | undefined): void {
  if (systemIdentifier === old.systemIdentifier) return;
  throw new PgmonetaError(
    'RESTORE_SETUP',
    `${old.directory} is another cluster: its system identifier is ${old.systemIdentifier}, that of backup ${label} is ${systemIdentifier ?? 'not known'}`,
    { hint: 'look at the directory and the name of the server again; restore without --delta to another directory' },
  );
}

/**
 * Refuses to look at a place where an interrupted restore waits to be settled, which would change something.
 * @throws PgmonetaError RESTORE_SETUP
 */
export function unsettled(final: string): PgmonetaError {
  return new PgmonetaError('RESTORE_SETUP', `an earlier restore to ${final} was interrupted while it was published`, {
    hint: `run the restore without --dry-run: it settles that first (${journalName(final)})`,
  });
}
