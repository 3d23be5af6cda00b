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

async function makeParent(directory: string): Promise<void> {
  await makeDirectories(directory).catch((error: Error) => {
    throw new PgmonetaError('RESTORE_SETUP', `the directory ${directory} cannot be made: ${error.message}`, {
      cause: error,
      hint: "choose one that the daemon's user may write to",
    });
  });
}

/**
 * Adds up demands per file system and refuses when one cannot hold its share.
 * @throws PgmonetaError RESTORE_NODISK naming each file system that is too small
 */
export async function checkRestoreSpace(
  demands: readonly SpaceDemand[],
  supplyOf: (directory: string) => SpaceSupply | Promise<SpaceSupply>,
): Promise<void> {
  const perDevice = new Map<string, { wanted: number; available: number; directories: string[] }>();
  for (const { directory, bytes } of demands) {
    const parent = dirname(directory);
    await makeParent(parent);
    const supply = await supplyOf(parent);
    const key = String(supply.device);
    const entry = perDevice.get(key) ?? { wanted: 0, available: supply.available, directories: [] };
    entry.wanted += bytes;
    entry.directories.push(directory);
    perDevice.set(key, entry);
  }
  const short = [...perDevice.values()].filter((entry) => Math.ceil(entry.wanted * MARGIN) > entry.available);
  if (short.length === 0) return;
  const mega = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const lines = short.map(
    (entry) =>
      `${mega(Math.ceil(entry.wanted * MARGIN))} needed for ${entry.directories.join(', ')}, ${mega(entry.available)} free`,
  );
  throw new PgmonetaError('RESTORE_NODISK', `not enough space: ${lines.join('; ')}`, {
    hint: 'free space there, choose another directory, or place tablespaces elsewhere with --tablespace-map',
    workflow: 'Restore backup',
  });
}
