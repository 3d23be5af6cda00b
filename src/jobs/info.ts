import type { Configuration } from '../config/of-server.js';
import { Real } from '../management/json/index.js';
import type { BackupInfo } from '../repository/backup-info.js';
import { readComments } from '../repository/comments.js';
import { serverPaths } from '../repository/paths.js';
import { readVerifications } from '../repository/verifications.js';
import { lsnHalves } from '../repository/wal-distance.js';
import { knownBackupOf } from './backups.js';
import { backupFields } from './list-backup.js';
import type { JsonObject } from './messages.js';
import { requiredText } from './request.js';
import { serverOf } from './servers.js';
import { verifiedFields } from './verified-fields.js';

/** Everything that is known of one backup. */
export async function infoVerb(request: JsonObject, configuration: Configuration): Promise<JsonObject> {
  const server = serverOf(configuration, request, 'INFO_NOSERVER');
  const identifier = requiredText(request, 'Backup', 'INFO_NOBACKUP');
  const paths = serverPaths(configuration.main.base_dir, server.name);
  const backup = await knownBackupOf(paths, server.name, identifier, 'INFO_NOBACKUP');
  const { info } = backup;
  return {
    ...backupFields(backup),
    ...positions(info),
    Annotations: [...readComments(info.comments)].map(([Key, Comment]) => ({ Comment, Key })),
    Elapsed: new Real(info.elapsed.ELAPSED ?? 0),
    MajorVersion: info.majorVersion,
    MinorVersion: info.minorVersion,
    NumberOfTablespaces: info.tablespaces.length,
    Server: server.name,
    Tablespaces: info.tablespaces.map((tablespace) => ({
      TablespaceName: tablespace.directory,
      TablespaceOID: tablespace.oid,
      TablespacePath: tablespace.path,
    })),
    WAL: info.wal,
    ...verifiedFields(await readVerifications(paths), backup.label),
    ...(info.incremental ? { Incremental: true, IncrementalParent: info.parent } : {}),
  };
}

function positions(info: BackupInfo): JsonObject {
  const start = lsnHalves(info.startLsn);
  const end = lsnHalves(info.endLsn);
  const checkpoint = lsnHalves(info.checkpointLsn);
  return {
    CheckpointHiLSN: checkpoint.hi,
    CheckpointLoLSN: checkpoint.lo,
    EndHiLSN: end.hi,
    EndLoLSN: end.lo,
    EndTimeline: info.endTimeline,
    StartHiLSN: start.hi,
    StartLoLSN: start.lo,
    StartTimeline: info.startTimeline,
  };
}
