import { PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { type Lsn, parseLsn } from './lsn.js';
import { contextOf, describePeer } from './peer.js';
import { firstRow, type Value } from './result.js';
import { type TimelineId, toTimeline } from './segment.js';

/** A tablespace besides pg_default and pg_global. */
export interface Tablespace {
  readonly oid: number;
  readonly name: string;
  /** Absolute directory on the server; for in-place tablespaces `pg_tblspc/<oid>`. */
  readonly location: string;
  /** Whether it lies within the data directory (allow_in_place_tablespaces). */
  readonly inPlace: boolean;
}

/** What a server says about itself. Sizes in bytes. */
export interface ServerFacts {
  readonly majorVersion: number;
  readonly minorVersion: number;
  /** `server_version` as the server says it. */
  readonly versionText: string;
  /** Decimal text of an unsigned 64-bit number. */
  readonly systemIdentifier: string;
  /** Timeline of the last checkpoint; `identifySystem` knows the one that is written now. */
  readonly timeline: TimelineId;
  readonly inRecovery: boolean;
  /** minimal, replica or logical. */
  readonly walLevel: string;
  readonly maxWalSenders: number;
  readonly maxReplicationSlots: number;
  readonly dataChecksums: boolean;
  readonly walSegmentSize: number;
  /** Size of the files that a relation is cut into. */
  readonly segmentSize: number;
  readonly blockSize: number;
  /** Blocks per file of a relation: segmentSize / blockSize. */
  readonly relsegSize: number;
  /** Whether WAL is summarised; null before version 17, where there is no such thing. */
  readonly summarizeWal: boolean | null;
  readonly trackCommitTimestamp: boolean;
  /** Null when the role may not see it. */
  readonly dataDirectory: string | null;
  readonly user: string;
  readonly isSuperuser: boolean;
  readonly isReplication: boolean;
  /** Version of pgmoneta_ext in the database, null when it is not installed. */
  readonly extensionVersion: string | null;
  readonly tablespaces: readonly Tablespace[];
}

/** Answer to IDENTIFY_SYSTEM. */
export interface SystemIdentity {
  readonly systemIdentifier: string;
  readonly timeline: TimelineId;
  /** End of the WAL that is durable on the server. */
  readonly position: Lsn;
}

/** Everything in one statement: one round trip, one consistent picture. Sizes come in the units of pg_settings. */
const FACTS = `
SELECT s.system_identifier::pg_catalog.text AS system_identifier, c.timeline_id AS timeline,
  pg_catalog.pg_is_in_recovery() AS in_recovery, r.rolsuper AS superuser, r.rolreplication AS replication, r.rolname AS user,
  (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pgmoneta_ext') AS extension,
  (SELECT pg_catalog.json_object_agg(name, pg_catalog.json_build_array(setting, unit)) FROM pg_catalog.pg_settings
    WHERE name IN ('wal_level', 'max_wal_senders', 'max_replication_slots', 'data_checksums', 'wal_segment_size',
      'segment_size', 'block_size', 'summarize_wal', 'track_commit_timestamp', 'data_directory')) AS settings,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('oid', oid::pg_catalog.int8, 'name', spcname,
      'location', pg_catalog.pg_tablespace_location(oid)) ORDER BY oid)
    FROM pg_catalog.pg_tablespace WHERE oid NOT IN (1663, 1664)) AS tablespaces
FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_roles r
WHERE r.rolname = current_user`;

type Settings = Readonly<Record<string, readonly [string | null, string | null] | undefined>>;

const UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1024, '8kB': 8192, MB: 1024 * 1024 };

/** A setting in bytes; the unit is `B`, `kB`, `MB`, or a number of kB such as `8kB` (blocks). */
function bytes(settings: Settings, name: string): number {
  const [value, unit] = settings[name] ?? [null, null];
  const blocks = unit === null ? null : /^([0-9]+)kB$/.exec(unit);
  const factor = unit === null ? 1 : (UNITS[unit] ?? (blocks === null ? Number.NaN : Number(blocks[1]) * 1024));
  return value === null ? Number.NaN : Number(value) * factor;
}

function text(settings: Settings, name: string): string | null {
  return settings[name]?.[0] ?? null;
}

function tablespacesIn(json: Value | undefined): Tablespace[] {
  const list = JSON.parse(json ?? '[]') as { oid: number; name: string; location: string }[];
  return list.map((entry) => ({ ...entry, inPlace: !entry.location.startsWith('/') }));
}

/**
 * Asks a server for its facts, in one round trip.
 * @param connection an ordinary connection (no replication)
 * @throws PgmonetaError POSTGRES_PROTOCOL when the answer makes no sense
 */
export async function queryFacts(connection: Connection): Promise<ServerFacts> {
  const row = firstRow(await connection.query(FACTS)) ?? {};
  const settings = JSON.parse(row.settings ?? '{}') as Settings;
  const segmentSize = bytes(settings, 'segment_size');
  const blockSize = bytes(settings, 'block_size');
  const walSegmentSize = bytes(settings, 'wal_segment_size');
  const { peer, version } = connection;
  if (!(segmentSize > 0 && blockSize > 0 && walSegmentSize > 0) || !row.system_identifier) {
    throw new PgmonetaError(
      'POSTGRES_PROTOCOL',
      `${describePeer(peer)} does not tell its block, segment and WAL sizes`,
      {
        hint: 'check that host and port name PostgreSQL itself, not a pooler or proxy',
        context: contextOf(peer),
      },
    );
  }
  const summarize = text(settings, 'summarize_wal');
  return {
    majorVersion: version.major,
    minorVersion: version.minor,
    versionText: version.text,
    systemIdentifier: row.system_identifier,
    timeline: toTimeline(row.timeline ?? ''),
    inRecovery: row.in_recovery === 't',
    walLevel: text(settings, 'wal_level') ?? '',
    maxWalSenders: Number(text(settings, 'max_wal_senders')),
    maxReplicationSlots: Number(text(settings, 'max_replication_slots')),
    dataChecksums: text(settings, 'data_checksums') === 'on',
    walSegmentSize,
    segmentSize,
    blockSize,
    relsegSize: segmentSize / blockSize,
    summarizeWal: summarize === null ? null : summarize === 'on',
    trackCommitTimestamp: text(settings, 'track_commit_timestamp') === 'on',
    dataDirectory: text(settings, 'data_directory'),
    user: row.user ?? '',
    isSuperuser: row.superuser === 't',
    isReplication: row.replication === 't',
    extensionVersion: row.extension ?? null,
    tablespaces: tablespacesIn(row.tablespaces),
  };
}

/** IDENTIFY_SYSTEM. @param connection a replication connection */
export async function identifySystem(connection: Connection): Promise<SystemIdentity> {
  const row = firstRow(await connection.query('IDENTIFY_SYSTEM')) ?? {};
  return {
    systemIdentifier: row.systemid ?? '',
    timeline: toTimeline(row.timeline ?? ''),
    position: parseLsn(row.xlogpos ?? ''),
  };
}
