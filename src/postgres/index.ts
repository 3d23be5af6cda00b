/** Speaking to a PostgreSQL server: connections, facts, base backups. */
export type {
  AnnouncedTablespace,
  BaseBackupResult,
  BaseBackupSink,
  BaseBackupStart,
} from './backup-sink.js';
export { type BaseBackupOptions, runBaseBackup } from './base-backup.js';
export {
  type BaseBackupRequest,
  baseBackupCommand,
  clampRate,
  type ManifestChecksums,
  type ServerCompression,
} from './base-backup-command.js';
export { connect } from './connect.js';
export type { Connection, Exchange, ServerNotice } from './connection.js';
export { identifySystem, queryFacts, type ServerFacts, type SystemIdentity, type Tablespace } from './facts.js';
export type { CopyTarget } from './frames.js';
export { watchSilence } from './inactivity.js';
export { type ChannelBinding, type ConnectOptions, SSL_MODES, type SslMode, type TlsFiles } from './options.js';
export { hbaLine, type Peer } from './peer.js';
export { quoteIdentifier, quoteLiteral, quoteReplicationLiteral } from './quote.js';
export { checkReady, type Purpose, requireReady } from './readiness.js';
export {
  createSlot,
  dropSlot,
  type NextTimeline,
  type ReplicationSlot,
  readSlot,
  readTimelineHistory,
  streamWal,
} from './replication.js';
export { firstRow, type Parameter, type QueryResult, type Value } from './result.js';
export { connectServer, probeServer, readFacts, type ServerAddress, serverOptions } from './server.js';
export { openServerFiles, type ServerFile, type ServerFiles } from './server-files.js';
export { readSummaries, type WalSummaries, type WalSummary } from './summaries.js';
export * from './types.js';
export { type UploadManifestOptions, uploadManifest } from './upload-manifest.js';
export { OLDEST_MAJOR, parseVersion, type ServerVersion } from './version.js';
export { type StandbyStatus, statusUpdate, type WalHeader, type WalSink } from './wal-messages.js';
