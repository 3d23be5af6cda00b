import { readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { hashFileSha512, removeTree, syncDirectory, writeFileDurable } from '../native/fs.js';
import { isGone } from '../repository/gone.js';
import type { CopyPaths } from './hot-standby-paths.js';

const decimal = z.string().regex(/^[0-9]+$/);

const stateSchema = z.object({
  Version: z.literal(1),
  Server: z.string(),
  Backup: z.string().regex(/^[0-9]{14}$/),
  SystemIdentifier: decimal,
  Manifest: z.string(),
  Control: z.string(),
  Stamp: decimal,
  Tablespaces: z.array(
    z.object({
      Oid: decimal,
      Place: z.string(),
      Entries: z.array(z.object({ Name: z.string(), Inode: decimal })),
    }),
  ),
});

/**
 * What is known of a copy. It is believed only as long as `Control` is the digest of the copy's `global/pg_control`:
 * whoever starts the copy changes that file.
 */
export interface CopyState {
  readonly server: string;
  /** Label of the backup that the copy was made of. */
  readonly backup: string;
  readonly systemIdentifier: string;
  /** SHA-512 of `backup_manifest`; empty when the backup has none. */
  readonly manifest: string;
  /** SHA-512 of `global/pg_control`. */
  readonly control: string;
  /** Nanoseconds since 1970 when the copy was whole: a file that was written later has been touched since. */
  readonly stamp: bigint;
  readonly tablespaces: readonly {
    readonly oid: string;
    readonly place: string;
    /** The directories that were made in the place, with their inodes. */
    readonly entries: readonly { readonly name: string; readonly inode: string }[];
  }[];
}

/** The state of a copy as it was written; undefined when there is none, or none that can be understood. */
export async function readState(path: string): Promise<CopyState | undefined> {
  try {
    const { Server, Backup, SystemIdentifier, Manifest, Control, Stamp, Tablespaces } = stateSchema.parse(
      JSON.parse(await readFile(path, 'utf8')),
    );
    return {
      server: Server,
      backup: Backup,
      systemIdentifier: SystemIdentifier,
      manifest: Manifest,
      control: Control,
      stamp: BigInt(Stamp),
      tablespaces: Tablespaces.map(({ Oid, Place, Entries }) => ({
        oid: Oid,
        place: Place,
        entries: Entries.map(({ Name, Inode }) => ({ name: Name, inode: Inode })),
      })),
    };
  } catch {
    return undefined;
  }
}

/** Writes a state durably, mode 0600. @throws PgmonetaError IO, NO_SPACE */
export function writeState(path: string, state: CopyState): Promise<void> {
  const document = {
    Version: 1,
    Server: state.server,
    Backup: state.backup,
    SystemIdentifier: state.systemIdentifier,
    Manifest: state.manifest,
    Control: state.control,
    Stamp: String(state.stamp),
    Tablespaces: state.tablespaces.map(({ oid, place, entries }) => ({
      Oid: oid,
      Place: place,
      Entries: entries.map(({ name, inode }) => ({ Name: name, Inode: inode })),
    })),
  };
  return writeFileDurable(path, `${JSON.stringify(document)}\n`);
}

/** SHA-512 of a file; empty when there is none. */
export async function digestOf(path: string): Promise<string> {
  return hashFileSha512(path).catch((error) => {
    if (isGone(error)) return '';
    throw error;
  });
}

/** What tells whether a data directory is still the one that was looked at: empty without a control file. */
export function controlDigest(dataDirectory: string): Promise<string> {
  return digestOf(join(dataDirectory, 'global', 'pg_control'));
}

/** The state of a copy that nobody has started or changed by hand since; undefined when it is not known. */
export async function knownState(paths: CopyPaths): Promise<CopyState | undefined> {
  const state = await readState(paths.state);
  return state !== undefined && state.control === (await controlDigest(paths.copy)) ? state : undefined;
}

/** Makes the next state the state when the exchange that it waits for was made; otherwise it is worth nothing. */
export async function settleState(paths: CopyPaths): Promise<void> {
  const next = await readState(paths.nextState);
  if (next !== undefined && next.control === (await controlDigest(paths.copy))) await adoptState(paths);
  else await removeTree(paths.nextState);
}

/** The next state is the state from now on. */
export async function adoptState(paths: CopyPaths): Promise<void> {
  await rename(paths.nextState, paths.state);
  await syncDirectory(dirname(paths.state));
}
