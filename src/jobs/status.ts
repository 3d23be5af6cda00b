import { type Configuration, effectiveServer } from '../config/of-server.js';
import { freeSpace } from '../native/fs.js';
import { isValid, listBackups } from '../repository/catalogue.js';
import { serverPaths } from '../repository/paths.js';
import { readVerifications } from '../repository/verifications.js';
import { describeHotStandbys } from './hot-standby-status.js';
import { backupFields, walFigures } from './list-backup.js';
import type { JsonObject } from './messages.js';
import { verifiedFields } from './verified-fields.js';
import { type LiveWalOf, readWalView, serverWindowFields, windowFields } from './wal-view.js';

/** What the daemon knows of a server beside its repository. */
export interface ServerState {
  readonly online: boolean;
  readonly primary: boolean;
  readonly checksums: boolean;
  /** Verbs that run for the server now. */
  readonly active: {
    readonly backup: boolean;
    readonly restore: boolean;
    readonly archive: boolean;
    readonly delete: boolean;
    readonly retention: boolean;
  };
  /** Why the server is not usable, for people; undefined when it is. */
  readonly problem: string | undefined;
  /** Major version, 0 when not known. */
  readonly version: number;
  /** What the receiver of its WAL is doing: keys of `status details`. */
  readonly wal?: JsonObject | undefined;
  /** Verifications since the daemon runs: keys of `status details`. */
  readonly verifications?: JsonObject | undefined;
}

/**
 * Space and servers; with details also their backups, and what they can be restored to. Sizes come from metadata, the
 * data is not walked.
 */
export async function statusVerb(
  configuration: Configuration,
  stateOf: (server: string) => ServerState,
  details: boolean,
  liveOf?: LiveWalOf,
): Promise<JsonObject> {
  const { main } = configuration;
  const space = await freeSpace(main.base_dir);
  const servers = await Promise.all(
    configuration.servers.map(({ name }) =>
      describeServer(configuration, name, stateOf(name), details ? (liveOf ?? noReceiver) : undefined),
    ),
  );
  // The C client's text output cannot take a server without backups after one with backups.
  servers.sort((left, right) => Number(left.backups > 0) - Number(right.backups > 0));
  return {
    FreeSpace: space.available,
    NumberOfServers: servers.length,
    Servers: servers.map((server) => server.document),
    TotalSpace: space.total,
    UsedSpace: servers.reduce((sum, server) => sum + server.size, 0),
    Workers: main.workers,
    ...(details ? { PgmonetaFips: false } : {}),
  };
}

const noReceiver: LiveWalOf = () => undefined;

/** @param liveOf given when details are wanted */
async function describeServer(
  configuration: Configuration,
  name: string,
  state: ServerState,
  liveOf: LiveWalOf | undefined,
): Promise<{ document: JsonObject; size: number; backups: number }> {
  const server = effectiveServer(configuration, name);
  const paths = serverPaths(configuration.main.base_dir, name);
  const backups = await listBackups(paths);
  const size = backups.reduce((sum, backup) => sum + (backup.info?.backupSize ?? 0), 0);
  const newest = backups.findLast(isValid);
  const standbys = await describeHotStandbys(paths, server);
  const document: JsonObject = {
    ActiveArchive: state.active.archive,
    ActiveBackup: state.active.backup,
    ActiveDelete: state.active.delete,
    ActiveRestore: state.active.restore,
    ActiveRetention: state.active.retention,
    Checksums: state.checksums,
    HotStandbySize: standbys.reduce((sum, { HotStandbySize }) => sum + Number(HotStandbySize), 0),
    NewestValidBackup: newest?.label ?? '',
    NumberOfBackups: backups.length,
    Online: state.online,
    Primary: state.primary,
    RetentionDays: server.retention.days ?? -1,
    RetentionMonths: server.retention.months ?? -1,
    RetentionWeeks: server.retention.weeks ?? -1,
    RetentionYears: server.retention.years ?? -1,
    Server: name,
    ServerSize: size,
    Workers: server.workers,
    WorkspaceFreeSpace: 0,
    ...(state.problem === undefined ? {} : { Problem: state.problem }),
    ...(state.wal?.WalProblem === undefined ? {} : { WalProblem: state.wal.WalProblem }),
  };
  if (liveOf === undefined) return { document, size, backups: backups.length };
  const view = await readWalView(paths, backups, liveOf(name), { bytes: true });
  const figures = walFigures(backups, view);
  const verifications = await readVerifications(paths);
  const entries = backups.map(
    (backup, index): JsonObject => ({
      ...backupFields(backup),
      ...windowFields(view, backup.label),
      ...verifiedFields(verifications, backup.label),
      Delta: figures[index]?.delta ?? 0,
      WAL: figures[index]?.wal ?? 0,
    }),
  );
  const detailed = {
    ...document,
    ...state.wal,
    ...state.verifications,
    ...serverWindowFields(view),
    Backups: entries,
    Fips: false,
    ...(standbys.length === 0 ? {} : { HotStandbys: standbys }),
  };
  return { document: detailed, size, backups: backups.length };
}
