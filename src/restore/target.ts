import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import type { TablespaceInfo } from '../repository/backup-info.js';

/** Where one tablespace goes. */
export interface TablespacePlan {
  readonly oid: string;
  /** Directory name in the backup, `tblspc_<name>`. */
  readonly stored: string;
  /** Where it stands in the end. */
  readonly final: string;
  /** Where it is built. */
  readonly building: string;
  /** What `pg_tblspc/<oid>` points to. */
  readonly link: string;
}

/** Where a restore goes, before anything is written. */
export interface TargetPlan {
  /** The data directory in the end. */
  readonly final: string;
  /** The directory it is built in, renamed at the very end. */
  readonly building: string;
  readonly tablespaces: readonly TablespacePlan[];
}

/** What the user said about placement. */
export interface PlacementOptions {
  /** OID, name or original path to the directory it is to have. */
  readonly tablespaceMap: Readonly<Record<string, string>>;
  /** Links relative to `pg_tblspc`, so that data directory and tablespaces can be moved together. */
  readonly relativeLinks: boolean;
}

/** Where a tablespace of a cluster stands that is there already. */
export interface StandingTablespace {
  readonly oid: string;
  readonly directory: string;
  /** What its link says. */
  readonly link: string;
}

/** The name under which `path` is built: beside it, so that publishing is a rename. */
export function buildingName(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial`);
}

/**
 * Computes where data directory and tablespaces go: `<root>/<server>-<label>` and, unless mapped,
 * `<root>/<server>-<label>-tblspc_<name>` beside it.
 * @throws PgmonetaError RESTORE_ERROR for a mapping that names no tablespace, is relative, or is used twice
 */
export function planTarget(
  root: string,
  server: string,
  label: string,
  tablespaces: readonly TablespaceInfo[],
  options: PlacementOptions,
): TargetPlan {
  if (!isAbsolute(root)) {
    throw new PgmonetaError('RESTORE_ERROR', `the directory '${root}' is not absolute`, {
      hint: 'the daemon does the restore: give the whole path',
    });
  }
  return planPlaces(join(root, `${server}-${label}`), tablespaces, options);
}

/**
 * Computes where the tablespaces of a data directory go: where they are mapped to, where they stand, or beside it.
 * @throws PgmonetaError RESTORE_ERROR as {@link planTarget}
 */
export function planPlaces(
  final: string,
  tablespaces: readonly TablespaceInfo[],
  options: PlacementOptions,
  standing: readonly StandingTablespace[] = [],
): TargetPlan {
  const unused = new Set(Object.keys(options.tablespaceMap));
  const taken = new Map<string, string>([[final, 'the data directory']]);
  const planned = tablespaces.map((tablespace) => {
    const mapped = mapping(tablespace, options.tablespaceMap, unused);
    const before = mapped === undefined ? standing.find(({ oid }) => oid === tablespace.oid) : undefined;
    const place = mapped ?? before?.directory ?? `${final}-${tablespace.directory}`;
    const other = taken.get(place);
    if (other !== undefined) {
      throw new PgmonetaError(
        'RESTORE_ERROR',
        `tablespace ${tablespace.directory} and ${other} would both be in ${place}`,
      );
    }
    taken.set(place, `tablespace ${tablespace.directory}`);
    const link = options.relativeLinks ? relative(join(final, 'pg_tblspc'), place) : (before?.link ?? place);
    return { oid: tablespace.oid, stored: tablespace.directory, final: place, building: buildingName(place), link };
  });
  if (unused.size > 0) {
    throw new PgmonetaError('RESTORE_ERROR', `the backup has no tablespace ${[...unused].join(', ')}`, {
      hint: `it has ${tablespaces.map((t) => `${t.oid} (${t.directory.replace(/^tblspc_/, '')}, ${t.path})`).join(', ') || 'none'}`,
    });
  }
  return { final, building: buildingName(final), tablespaces: planned };
}

function mapping(
  tablespace: TablespaceInfo,
  map: Readonly<Record<string, string>>,
  unused: Set<string>,
): string | undefined {
  for (const key of [tablespace.oid, tablespace.directory.replace(/^tblspc_/, ''), tablespace.path]) {
    const place = map[key];
    if (place === undefined) continue;
    unused.delete(key);
    if (!isAbsolute(place)) {
      throw new PgmonetaError('RESTORE_ERROR', `the directory '${place}' for tablespace ${key} is not absolute`);
    }
    return join(place);
  }
  return undefined;
}

/** Every directory that the plan puts something into. */
export function finals(plan: TargetPlan): string[] {
  return [plan.final, ...plan.tablespaces.map((tablespace) => tablespace.final)];
}

async function kind(path: string): Promise<'absent' | 'empty' | 'directory' | 'other'> {
  const status = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new PgmonetaError('RESTORE_SETUP', `the target ${path} cannot be looked at: ${error.message}`, {
      cause: error,
    });
  });
  if (status === undefined) return 'absent';
  if (!status.isDirectory()) return 'other';
  return (await readdir(path)).length === 0 ? 'empty' : 'directory';
}

/**
 * Refuses targets that exist, unless forced; a data directory in use is refused always.
 * @param own directories that the restore is meant to replace
 * @returns the existing paths that publishing will replace
 */
export async function checkTargets(plan: TargetPlan, force: boolean, own: readonly string[] = []): Promise<string[]> {
  const existing: string[] = [];
  for (const path of finals(plan)) {
    const found = await kind(path);
    if (found === 'absent') continue;
    if (found === 'other') {
      throw new PgmonetaError('RESTORE_SETUP', `the target ${path} exists and is not a directory`, {
        hint: 'move it away, or choose another directory',
      });
    }
    if (found === 'directory') {
      await refuseRunning(path);
      if (!force && !own.includes(path)) {
        throw new PgmonetaError('RESTORE_SETUP', `the target ${path} exists and is not empty`, {
          hint: 'choose another directory, or use --force to replace it',
        });
      }
    }
    existing.push(path);
  }
  return existing;
}

/**
 * Refuses a data directory that a server runs in.
 * @throws PgmonetaError RESTORE_SETUP
 */
export async function refuseRunning(dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(pidFile, 'utf8').catch(() => undefined);
  const pid = Number.parseInt(text ?? '', 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
  }
  throw new PgmonetaError('RESTORE_SETUP', `a server with PID ${pid} runs in ${dataDirectory}`, {
    hint: `stop it first: pg_ctl -D ${dataDirectory} stop`,
  });
}

/** Name of the lock that keeps two restores out of the same target. */
export function targetLockName(final: string): string {
  return `.restore-${createHash('sha256').update(final).digest('hex').slice(0, 16)}.lock`;
}

/** Removes what an earlier restore to the same place has left, which nobody can be using: the lock is held. */
export async function removeLeftovers(plan: TargetPlan): Promise<void> {
  for (const path of [plan.building, ...plan.tablespaces.map((tablespace) => tablespace.building)]) {
    await rm(path, { recursive: true, force: true });
  }
}
