import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { makeDirectories } from '../repository/directories.js';

/** Bytes wanted in a directory (which need not exist yet). */
export interface SpaceDemand {
  readonly directory: string;
  readonly bytes: number;
}

/** What a file system says. */
export interface SpaceSupply {
  readonly device: string | number;
  readonly available: number;
}

const MARGIN = 1.02;

/** What one file system is asked for, in bytes. */
export interface FileSystemDemand {
  readonly directories: readonly string[];
  /** With a margin. */
  readonly needed: number;
  readonly available: number;
}

async function makeParent(directory: string): Promise<void> {
  await makeDirectories(directory).catch((error: Error) => {
    throw new PgmonetaError('RESTORE_SETUP', `the directory ${directory} cannot be made: ${error.message}`, {
      cause: error,
      hint: "choose one that the daemon's user may write to",
    });
  });
}

/** The first directory above a path that is there. */
async function existingParent(path: string): Promise<string> {
  const parent = dirname(path);
  const status = await stat(parent).catch(() => undefined);
  return status?.isDirectory() || parent === path ? parent : existingParent(parent);
}

/**
 * Adds up demands per file system.
 * @param create whether the directories above those of the demands are made
 */
export async function measureSpace(
  demands: readonly SpaceDemand[],
  supplyOf: (directory: string) => SpaceSupply | Promise<SpaceSupply>,
  create = true,
): Promise<readonly FileSystemDemand[]> {
  const perDevice = new Map<string, { wanted: number; available: number; directories: string[] }>();
  for (const { directory, bytes } of demands) {
    if (create) await makeParent(dirname(directory));
    const parent = create ? dirname(directory) : await existingParent(directory);
    const supply = await supplyOf(parent);
    const key = String(supply.device);
    const entry = perDevice.get(key) ?? { wanted: 0, available: supply.available, directories: [] };
    entry.wanted += bytes;
    entry.directories.push(directory);
    perDevice.set(key, entry);
  }
  return [...perDevice.values()].map(({ wanted, available, directories }) => ({
    directories,
    needed: Math.ceil(wanted * MARGIN),
    available,
  }));
}

/**
 * Refuses when a file system cannot hold its share.
 * @throws PgmonetaError RESTORE_NODISK naming each file system that is too small
 */
export async function checkRestoreSpace(
  demands: readonly SpaceDemand[],
  supplyOf: (directory: string) => SpaceSupply | Promise<SpaceSupply>,
  create = true,
): Promise<readonly FileSystemDemand[]> {
  const all = await measureSpace(demands, supplyOf, create);
  const short = all.filter((entry) => entry.needed > entry.available);
  if (short.length === 0) return all;
  const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const lines = short.map(
    (entry) => `${mega(entry.needed)} needed for ${entry.directories.join(', ')}, ${mega(entry.available)} free`,
  );
  throw new PgmonetaError('RESTORE_NODISK', `not enough space: ${lines.join('; ')}`, {
    hint: 'free space there, choose another directory, or place tablespaces elsewhere with --tablespace-map',
    workflow: 'Restore backup',
  });
}

/** What an archive takes beside the restored tree that it is made of. */
export interface ArchiveDemand {
  /** The file system of the directory that both stand in; `needed` is the restored tree. */
  readonly tree: Omit<FileSystemDemand, 'directories'>;
  readonly directory: string;
  /** What the archive is expected to shrink to, 0 to 1. */
  readonly ratio: number;
}

/** Without a full backup to learn from, compressed data is taken to shrink to a quarter: only what cannot work is refused. */
const UNKNOWN_RATIO = 0.25;

/**
 * What the archive of a backup will shrink to: as the backup did, where that says it.
 * @param sizes of the backup as it is stored and as it is restored
 */
export function archiveRatio(
  codec: string,
  sizes: {
    readonly stored: number;
    readonly restored: number;
    readonly compressed: boolean;
    readonly incremental: boolean;
  },
): number {
  if (codec === 'none') return 1;
  if (!sizes.compressed || sizes.incremental || sizes.restored === 0) return UNKNOWN_RATIO;
  return Math.min(1, sizes.stored / sizes.restored);
}

/**
 * Refuses an archive that cannot fit beside what it is made of.
 * @throws PgmonetaError RESTORE_NODISK with the figures
 */
export function checkArchiveSpace({ tree, directory, ratio }: ArchiveDemand): void {
  const archive = Math.ceil(tree.needed * ratio);
  if (tree.needed + archive <= tree.available) return;
  const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  throw new PgmonetaError(
    'RESTORE_NODISK',
    `not enough space: an archive needs ${mega(tree.needed)} for the restored backup and about ${mega(archive)} for itself, ` +
      `and ${directory} has ${mega(tree.available)} free`,
    { hint: 'free space there, or choose a directory on another file system', workflow: 'Archive' },
  );
}
