import { lstat, open, realpath, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { HotStandby, TablespaceMapping } from '../config/index.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { removeTree } from '../native/fs.js';
import type { BackupChain, RestoreOptions, RestoreReport } from '../native/restore.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { makeDirectories } from '../repository/directories.js';
import { checkCopySpace, copyRestore, writtenBeside } from './hot-standby-build.js';
import { applyOverrides } from './hot-standby-overrides.js';
import { type CopyPaths, copyPaths, entriesOf, kindOf, tablespaceLinks } from './hot-standby-paths.js';
import { planPlaces, type TablespacePlace, unusedMappings } from './hot-standby-places.js';
import { ownTablespaces, removeTablespace } from './hot-standby-remove.js';
import { runningServer } from './hot-standby-running.js';
import {
  type CopyState,
  controlDigest,
  digestOf,
  knownState,
  readState,
  settleState,
  writeState,
} from './hot-standby-state.js';
import { finishTablespaces, settleCopy, switchCopies } from './hot-standby-switch.js';

/** More than the clock of a file system lags behind, in milliseconds. */
const CLOCK_MS = 20;

/** Which copy is brought to which backup. */
export interface CopyOrder {
  readonly server: string;
  readonly standby: HotStandby;
  /** The mappings of the server's directories that come before this one. */
  readonly before: readonly (readonly TablespaceMapping[])[];
  readonly backup: KnownBackup;
  /** What the backup builds on, its parent first; leased by the caller like the backup itself. */
  readonly ancestors: readonly KnownBackup[];
  readonly baseDir: string;
  /** Opens the two; asked for when the copy is not of that backup yet. */
  readonly chain: () => Promise<BackupChain>;
  readonly workers: number;
  /** Leave a copy alone that somebody has started or changed since it was made: no new backup asks for it. */
  readonly keepTouched: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  readonly warn: (message: string) => void;
}

/** What came of it. */
export interface CopyOutcome {
  /** `current`: the copy is of this backup, or a later one, already; `kept`: it was touched and is to be left alone. */
  readonly result: 'updated' | 'current' | 'kept';
  /** Label of the backup that the copy is of; empty when that is not known. */
  readonly backup: string;
  /** Files of the cluster, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Those of them that were taken over from the last copy. */
  readonly filesKept: number;
  readonly bytesKept: number;
}

/**
 * Brings `<directory>/<server>` to a backup. The new copy is built beside the old one and then takes its place in one
 * step: at any moment what has the name can be started.
 * @throws PgmonetaError HOT_STANDBY, IO, NO_SPACE, CORRUPT, CANCELLED; the old copy is what it was then
 */
export async function updateCopy(order: CopyOrder): Promise<CopyOutcome> {
  const { server, standby, backup, baseDir } = order;
  const paths = copyPaths(standby.directory, server);
  await prepareDirectory(standby.directory, baseDir);
  await settleCopy(paths);
  const known = await knownState(paths);
  if (known !== undefined && known.backup >= backup.label) return nothingDone('current', known.backup);
  if (known === undefined && order.keepTouched && (await entriesOf(paths.copy)).length > 0)
    return nothingDone('kept', '');
  const chain = await order.chain();
  const sizes = await chain.plan();
  await refuseForeign(paths, sizes.systemIdentifier);
  const control = await controlDigest(paths.copy);
  const placesOrder = { ...order, paths, mappings: standby.mappings, tablespaces: backup.info.tablespaces };
  const places = await planPlaces(placesOrder);
  for (const { from, to } of unusedMappings(placesOrder)) {
    order.warn(`the backup has no tablespace ${from}, which hot_standby_tablespaces maps to ${to}`);
  }
  try {
    await discard(paths, places, false);
    const wanted = await copyRestore(order, paths, places, known);
    await checkCopySpace(paths, places, sizes, () => writtenBeside(chain, wanted, order.signal));
    const { report, stamp } = await build(order, chain, paths, wanted);
    await writeState(paths.nextState, await stateOf(order, paths, places, stamp));
    const dropped = (await ownTablespaces(paths)).filter(({ place }) => !places.some((one) => one.place === place));
    order.signal.throwIfAborted();
    await switchCopies(paths, control);
    await finishTablespaces(paths);
    await removeTree(paths.building);
    for (const tablespace of dropped) await removeTablespace(tablespace);
    return outcomeOf(backup.label, report);
  } catch (error) {
    await discard(paths, places, true).catch((failure) =>
      order.warn(`what was built in ${paths.building} could not be removed: ${asPgmonetaError(failure).message}`),
    );
    throw error;
  }
}

function nothingDone(result: 'current' | 'kept', backup: string): CopyOutcome {
  return { result, backup, files: 0, bytes: 0, filesKept: 0, bytesKept: 0 };
}

async function prepareDirectory(directory: string, baseDir: string): Promise<void> {
  await makeDirectories(directory).catch((error: Error) => {
    throw new PgmonetaError('HOT_STANDBY', `the directory ${directory} cannot be made: ${error.message}`, {
      cause: error,
      hint: "make it, owned by the daemon's user, or choose another one for hot_standby",
    });
  });
  // The configuration was checked as it is written; links may lead elsewhere.
  const [real, repository] = await Promise.all([realpath(directory), realpath(baseDir)]);
  if (`${real}/`.startsWith(`${repository}/`)) {
    throw new PgmonetaError('HOT_STANDBY', `the directory ${directory} is in the repository ${baseDir}`, {
      hint: 'choose another directory for hot_standby',
    });
  }
}

/** What is not a copy of this server is not ours to replace. */
async function refuseForeign(paths: CopyPaths, systemIdentifier: string | undefined): Promise<void> {
  const kind = await kindOf(paths.copy);
  if (kind === 'absent' || (kind === 'directory' && (await entriesOf(paths.copy)).length === 0)) return;
  const hint = `move ${paths.copy} away, or choose another directory for hot_standby`;
  if (kind !== 'directory') throw new PgmonetaError('HOT_STANDBY', `${paths.copy} is not a directory`, { hint });
  const found = await systemIdentifierOf(paths.copy);
  if (found === undefined) {
    throw new PgmonetaError('HOT_STANDBY', `${paths.copy} is not a data directory: it has no control file`, { hint });
  }
  if (found === systemIdentifier || found === (await readState(paths.state))?.systemIdentifier) return;
  throw new PgmonetaError(
    'HOT_STANDBY',
    `${paths.copy} is of another cluster: its system identifier is ${found}, that of the backup is ${systemIdentifier ?? 'not known'}`,
    { hint },
  );
}

/** The first eight bytes of the control file, on all platforms that are supported in the same order. */
async function systemIdentifierOf(dataDirectory: string): Promise<string | undefined> {
  const file = await open(join(dataDirectory, 'global', 'pg_control'), 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return bytesRead === 8 ? String(buffer.readBigUInt64LE()) : undefined;
  } finally {
    await file.close();
  }
}

/** @returns what the restore made, and when: what is written later, as overrides are, is not of the backup */
async function build(
  order: CopyOrder,
  chain: BackupChain,
  paths: CopyPaths,
  wanted: RestoreOptions,
): Promise<{ readonly report: RestoreReport; readonly stamp: bigint }> {
  const { signal, onProgress, standby } = order;
  const report = await chain.restore(wanted, {
    signal,
    onProgress: ({ bytesDone, bytesTotal }) => onProgress(bytesDone, bytesTotal),
  });
  for (const warning of report.warnings) order.warn(warning);
  const stamp = BigInt(Date.now() + 1) * 1_000_000n;
  if (standby.overrides === undefined) return { report, stamp };
  await pause(CLOCK_MS);
  const copied = await applyOverrides(standby.overrides, paths.building, signal);
  if (copied === undefined)
    order.warn(`hot_standby_overrides ${standby.overrides} is not there; nothing is overridden`);
  return { report, stamp };
}

function outcomeOf(backup: string, { files, bytes, reuse }: RestoreReport): CopyOutcome {
  const filesKept = (reuse?.kept.files ?? 0) - (reuse?.copied.files ?? 0);
  const bytesKept = (reuse?.kept.bytes ?? 0) - (reuse?.copied.bytes ?? 0);
  return { result: 'updated', backup, files, bytes, filesKept, bytesKept };
}

async function stateOf(
  { server, backup }: CopyOrder,
  { building }: CopyPaths,
  places: readonly TablespacePlace[],
  stamp: bigint,
): Promise<CopyState> {
  const tablespaces: CopyState['tablespaces'][number][] = [];
  for (const { oid, place, directory } of places) {
    const entries: { name: string; inode: string }[] = [];
    for (const name of await entriesOf(directory)) {
      entries.push({ name, inode: String((await lstat(join(directory, name), { bigint: true })).ino) });
    }
    tablespaces.push({ oid, place, entries });
  }
  return {
    server,
    backup: backup.label,
    systemIdentifier: (await systemIdentifierOf(building)) ?? '',
    manifest: await digestOf(join(building, 'backup_manifest')),
    control: await controlDigest(building),
    stamp,
    tablespaces,
  };
}

/** Removes what was built, unless it is what the copy is made of by now, or somebody has started it. */
async function discard(paths: CopyPaths, places: readonly TablespacePlace[], failed: boolean): Promise<void> {
  await settleState(paths);
  const used = (await tablespaceLinks(paths)).map(({ target }) => target);
  for (const { directory, place, made } of places) {
    if (used.includes(directory)) continue;
    await removeTree(directory);
    if (made && failed && !used.includes(place)) await rmdir(place).catch(() => {});
  }
  if ((await runningServer(paths.building)) === undefined) await removeTree(paths.building);
}
