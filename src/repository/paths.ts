import { join } from 'node:path';

/** Where things of one server are kept below `base_dir`. Layout: pgmoneta 0.21, plus `.staging` and locks of ours. */
export interface ServerPaths {
  /** `<base_dir>/<server>` */
  readonly root: string;
  /** Every directory in here is a backup; nothing unfinished ever stands in it. */
  readonly backups: string;
  /** Backups being taken. Swept at start. */
  readonly staging: string;
  /** Backups on their way out: renamed here first, so that a kill never leaves half of one in `backup/`. */
  readonly trash: string;
  /** Backups that take in a parent that is to go, until they change places with those in `backup/`. */
  readonly rollUps: string;
  /** Descriptions being rewritten, see `rewrite-info.ts`. What is found here is carried out or thrown away. */
  readonly rewrite: string;
  /** Held exclusively while descriptions or the memory of verifications are rewritten: for a moment. */
  readonly infoLock: string;
  /** When which backup was verified, and what came of it. */
  readonly verified: string;
  /** Received WAL. */
  readonly wal: string;
  /** Held by the one job that adds or removes backups. */
  readonly writerLock: string;
  /** Held shared while backups are chosen and leased, exclusively while one is taken out of `backup/`: for a moment. */
  readonly catalogueLock: string;
  /** Held exclusively while WAL is removed, shared by restores that read WAL. */
  readonly walLock: string;
  /** Which cluster the WAL in `wal` is of. */
  readonly walIdentity: string;
  /** Held by the one job that changes the hot standbys of the server. */
  readonly hotStandbyLock: string;
  /** What came of the last update of each hot standby. */
  readonly hotStandbys: string;
  /** What the operator said last: online or offline. */
  readonly mode: string;
}

/** The paths of one server. */
export function serverPaths(baseDir: string, server: string): ServerPaths {
  const root = join(baseDir, server);
  return {
    root,
    backups: join(root, 'backup'),
    staging: join(root, '.staging'),
    trash: join(root, '.trash'),
    rollUps: join(root, '.roll-up'),
    rewrite: join(root, '.rewrite'),
    infoLock: join(root, '.info.lock'),
    verified: join(root, '.verified.json'),
    wal: join(root, 'wal'),
    writerLock: join(root, '.writer.lock'),
    catalogueLock: join(root, '.catalogue.lock'),
    walLock: join(root, '.wal.lock'),
    walIdentity: join(root, '.wal-identity'),
    hotStandbyLock: join(root, '.hot-standby.lock'),
    hotStandbys: join(root, '.hot-standby.json'),
    mode: join(root, '.mode'),
  };
}

/** The lock that readers of one backup share, and that whoever removes or replaces the backup needs alone. */
export function leasePath(paths: ServerPaths, label: string): string {
  return join(paths.root, `.lease-${label}.lock`);
}

/** Where the second copy of a server's WAL is kept, below `wal_shipping`. */
export function shippingPath(walShipping: string, server: string): string {
  return join(walShipping, server, 'wal');
}

/** The lock that makes a second daemon on the same repository impossible. */
export function repositoryLockPath(baseDir: string): string {
  return join(baseDir, '.pgmoneta.lock');
}

/** File names inside a backup's directory. */
export const BACKUP_FILES = {
  info: 'backup.info',
  json: 'backup.json',
  manifest: 'backup.manifest',
  sha512: 'backup.sha512',
} as const;
