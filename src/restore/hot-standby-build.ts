import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { freeSpace } from '../native/fs.js';
import type { BackupChain, ClusterBase, ExistingCluster, RestoreOptions, RestorePlan } from '../native/restore.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { type CopyPaths, entriesOf, tablespaceLinks } from './hot-standby-paths.js';
import type { TablespacePlace } from './hot-standby-places.js';
import { type CopyState, digestOf } from './hot-standby-state.js';
import { type FileSystemDemand, measureSpace } from './space.js';

/** Bytes that are written, by the OID of the tablespace; of the data directory under an empty one. */
type Written = ReadonlyMap<string, number>;

/**
 * Refuses what does not fit. Files of the last copy need no space: when all files would not fit, it is looked at how many
 * there are of them, which takes a while.
 */
export async function checkCopySpace(
  paths: CopyPaths,
  places: readonly TablespacePlace[],
  sizes: RestorePlan,
  exactly: () => Promise<Written | undefined>,
): Promise<void> {
  const all = new Map([['', sizes.baseBytes], ...sizes.tablespaces.map(({ oid, bytes }) => [oid, bytes] as const)]);
  let short = await tooSmall(paths, places, all);
  if (short.length === 0) return;
  const written = await exactly();
  if (written !== undefined) short = await tooSmall(paths, places, written);
  if (short.length === 0) return;
  const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const lines = short.map(
    ({ needed, available, directories }) =>
      `${mega(needed)} needed for ${directories.join(', ')}, ${mega(available)} free`,
  );
  throw new PgmonetaError('HOT_STANDBY', `not enough space: ${lines.join('; ')}`, {
    hint: 'a copy is built beside the last one: free space there, or choose a larger file system',
  });
}

async function tooSmall(
  paths: CopyPaths,
  places: readonly TablespacePlace[],
  written: Written,
): Promise<readonly FileSystemDemand[]> {
  const demands = [
    { directory: paths.building, bytes: written.get('') ?? 0 },
    ...places.map(({ directory, oid }) => ({ directory, bytes: written.get(oid) ?? 0 })),
  ];
  return (await measureSpace(demands, freeSpace)).filter(({ needed, available }) => needed > available);
}

/** What a restore beside the last copy writes; undefined when there is none. */
export async function writtenBeside(
  chain: BackupChain,
  wanted: RestoreOptions,
  signal: AbortSignal,
): Promise<Written | undefined> {
  if (wanted.existing === undefined) return undefined;
  const { written } = await chain.compare(wanted, { signal });
  return new Map(written.map(({ oid, bytes }) => [oid, bytes]));
}

/** How a copy is made. */
export interface CopyMeans extends Pick<RestoreOptions, 'workers'> {
  /** What the backup builds on, its parent first. */
  readonly ancestors: readonly KnownBackup[];
}

/**
 * What is restored where, and what may be taken from the last copy.
 * @param known of the last copy; undefined when somebody has started or changed it
 */
export async function copyRestore(
  { ancestors, workers }: CopyMeans,
  paths: CopyPaths,
  places: readonly TablespacePlace[],
  known: CopyState | undefined,
): Promise<RestoreOptions> {
  const existing = await existingCopy(paths, ancestors, known);
  return {
    target: paths.building,
    tablespaces: places,
    workers,
    ...(existing === undefined ? {} : { existing }),
  };
}

/** The last copy, of which everything is taken that is still the same. */
async function existingCopy(
  paths: CopyPaths,
  chain: readonly KnownBackup[],
  known: CopyState | undefined,
): Promise<ExistingCluster | undefined> {
  if ((await entriesOf(paths.copy)).length === 0) return undefined;
  const tablespaces: { oid: string; directory: string }[] = [];
  for (const { oid, place } of await tablespaceLinks(paths)) {
    if ((await entriesOf(place)).length > 0) tablespaces.push({ oid, directory: place });
  }
  const base = await baseOf(paths, chain, known);
  return { directory: paths.copy, tablespaces, ...(base === undefined ? {} : { base }) };
}

/** The backup that the copy was made of, when the one to be restored builds upon it: then only changed blocks are read. */
async function baseOf(
  paths: CopyPaths,
  chain: readonly KnownBackup[],
  known: CopyState | undefined,
): Promise<ClusterBase | undefined> {
  const made = chain.find(({ label }) => label === known?.backup);
  if (made === undefined || known === undefined || known.manifest === '') return undefined;
  if ((await digestOf(join(paths.copy, 'backup_manifest'))) !== known.manifest) return undefined;
  return { backup: made.directory, stamp: known.stamp };
}
