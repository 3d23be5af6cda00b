import { createHash } from 'node:crypto';
import { access, constants, lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { readPgControl } from '../native/manifest.js';
import { refuseRunning, type StandingTablespace } from './target.js';

/** A stopped cluster that a restore replaces, taking from it what is right already. */
export interface OldCluster {
  /** Its data directory, without links. */
  readonly directory: string;
  readonly majorVersion: string;
  /** Decimal. */
  readonly systemIdentifier: string;
  /** What its control file looked like: a server that starts changes it. */
  readonly control: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Those whose directory is there. */
  readonly tablespaces: readonly StandingTablespace[];
}

const CONTROL = join('global', 'pg_control');

/** The way to a directory without links, whether it is there or, for a moment, is not. */
export async function realPlace(directory: string): Promise<string> {
  if (!isAbsolute(directory)) {
    throw new PgmonetaError('RESTORE_ERROR', `the directory '${directory}' is not absolute`, {
      hint: 'the daemon does the restore: give the whole path',
    });
  }
  const gone = (error: NodeJS.ErrnoException): undefined => {
    if (error.code === 'ENOENT') return undefined;
    throw new PgmonetaError('RESTORE_SETUP', `${directory} cannot be looked at: ${error.message}`, { cause: error });
  };
  const found = await realpath(directory).catch(gone);
  if (found !== undefined) return found;
  const target = await readlink(directory).catch(() => undefined);
  if (target !== undefined) return resolve(dirname(directory), target);
  const parent = await realpath(dirname(directory)).catch(gone);
  return join(parent ?? dirname(directory), basename(directory));
}

/** A digest of the control file of a data directory; undefined when it is not there. */
export async function controlOf(dataDirectory: string): Promise<string | undefined> {
  const bytes = await readFile(join(dataDirectory, CONTROL)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return bytes === undefined ? undefined : createHash('sha256').update(bytes).digest('hex');
}

/**
 * Reads what there is of a cluster and refuses one that cannot be replaced.
 * @param restored the name that a restore without `--delta` would make in it, `<server>-<label>`
 * @throws PgmonetaError RESTORE_SETUP when it is no data directory, a server runs in it, its control file is damaged, it
 * belongs to somebody else, or its place cannot be exchanged
 */
export async function readOldCluster(directory: string, restored: string): Promise<OldCluster> {
  const version = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const bytes = await readFile(join(directory, CONTROL)).catch((error: NodeJS.ErrnoException) => error);
  if (version === undefined || !Buffer.isBuffer(bytes)) throw await noCluster(directory, restored);
  await refuseRunning(directory);
  const { uid, gid } = await stat(directory);
  refuseForeign(directory, uid);
  const tablespaces = await standingTablespaces(directory);
  return {
    directory,
    majorVersion: version.trim(),
    systemIdentifier: identifierOf(directory, bytes),
    control: createHash('sha256').update(bytes).digest('hex'),
    owner: { uid, gid },
    tablespaces,
  };
}

function identifierOf(directory: string, bytes: Buffer): string {
  try {
    return readPgControl(bytes).systemIdentifier;
  } catch (error) {
    throw new PgmonetaError(
      'RESTORE_SETUP',
      `it cannot be told whose data directory ${directory} is: ${join(directory, CONTROL)}: ${(error as Error).message}`,
      { cause: error, hint: 'restore without --delta, beside it' },
    );
  }
}

async function noCluster(directory: string, restored: string): Promise<PgmonetaError> {
  const names: readonly string[] = await readdir(directory).catch(() => []);
  const inside = names.includes(restored);
  const what = `${directory} is not the data directory of a cluster: it has no PG_VERSION or no ${CONTROL}`;
  return new PgmonetaError('RESTORE_SETUP', what, {
    hint: inside
      ? `with --delta the directory is the data directory itself: ${join(directory, restored)}`
      : 'give the data directory itself, or leave --delta out to make a new one',
  });
}

/** A server wants its data directory to be its own: what somebody else's restore makes would not start. */
function refuseForeign(directory: string, uid: number): void {
  const own = process.geteuid?.() ?? 0;
  if (own === 0 || own === uid) return;
  throw new PgmonetaError(
    'RESTORE_SETUP',
    `${directory} belongs to the user with number ${uid}, the daemon runs as number ${own}`,
    { hint: 'let the daemon run as the user of the server, or restore without --delta to a directory of its own' },
  );
}

async function standingTablespaces(directory: string): Promise<StandingTablespace[]> {
  const links = join(directory, 'pg_tblspc');
  const found: StandingTablespace[] = [];
  for (const entry of await readdir(links, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isSymbolicLink() || !/^[0-9]+$/.test(entry.name)) continue;
    const link = await readlink(join(links, entry.name));
    const place = await realpath(join(links, entry.name)).catch(() => undefined);
    if (place !== undefined) found.push({ oid: entry.name, directory: place, link });
  }
  return found;
}

/**
 * Refuses directories that cannot be exchanged by a rename, and those of tablespaces that hold something else too.
 * @throws PgmonetaError RESTORE_SETUP
 */
export async function checkExchange(old: OldCluster, replaced: readonly string[]): Promise<void> {
  for (const directory of replaced) {
    if (directory.startsWith(`${old.directory}/`)) {
      throw new PgmonetaError('RESTORE_SETUP', `the tablespace in ${directory} is inside the data directory`, {
        hint: 'put it into another directory with --tablespace-map',
      });
    }
    const parent = dirname(directory);
    const [inside, outside] = [await lstat(directory), await lstat(parent)];
    if (inside.dev !== outside.dev || inside.ino === outside.ino) {
      throw new PgmonetaError(
        'RESTORE_SETUP',
        `${directory} is a mount point: it cannot be exchanged for another one`,
        {
          hint:
            directory === old.directory
              ? 'restore without --delta to another directory, then move the data'
              : 'put its tablespace into another directory with --tablespace-map, or restore without --delta',
        },
      );
    }
    await access(parent, constants.W_OK | constants.X_OK).catch((error: Error) => {
      throw new PgmonetaError('RESTORE_SETUP', `${directory} cannot be exchanged: ${parent} cannot be written to`, {
        cause: error,
        hint: "let the daemon's user write there, or restore without --delta to another directory",
      });
    });
    if (directory !== old.directory) await checkAlone(old, directory);
  }
}

/** A directory of a tablespace has one directory for each major version; others are other clusters'. */
async function checkAlone(old: OldCluster, directory: string): Promise<void> {
  const mine = new RegExp(`^PG_${old.majorVersion}_[0-9]+$`);
  const foreign = (await readdir(directory)).filter((name) => !mine.test(name));
  if (foreign.length === 0) return;
  throw new PgmonetaError(
    'RESTORE_SETUP',
    `the directory ${directory} of a tablespace also holds ${foreign.slice(0, 5).join(', ')}, which would be lost`,
    { hint: 'move that away, or put the tablespace into another directory with --tablespace-map' },
  );
}
