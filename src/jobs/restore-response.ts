import type { EffectiveServer } from '../config/of-server.js';
import type { ReuseReport } from '../native/restore.js';
import { formatLsn } from '../postgres/types.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { describeRecovery } from '../restore/describe.js';
import { momentText } from '../restore/moment.js';
import type { Position } from '../restore/position.js';
import type { FileSystemDemand } from '../restore/space.js';
import type { JsonObject } from './messages.js';
import type { RestoreWalPlan } from './restore-wal.js';

/**
 * The reply to a restore: the keys of 0.21, and what recovery will do.
 * @param odd what the restore found that does not stop it
 */
export function restoreResponse(
  server: EffectiveServer,
  { info }: KnownBackup,
  directory: string,
  position: Position,
  plan: RestoreWalPlan | undefined,
  odd: readonly string[] = [],
): JsonObject {
  const lsn = plan?.stopLsn === undefined ? info.endLsn : formatLsn(plan.stopLsn);
  const micros = plan?.stopMicros;
  const warnings = [...(plan?.warnings ?? []), ...odd];
  return {
    Backup: info.label,
    BackupSize: info.backupSize,
    BiggestFileSize: info.biggestFile,
    Comments: info.comments,
    Compression: info.compression,
    Directory: directory,
    Encryption: info.encryption,
    Incremental: info.incremental,
    IncrementalParent: info.parent,
    MajorVersion: info.majorVersion,
    MinorVersion: info.minorVersion,
    RecoveryTimeline: plan?.path.at(-1)?.timeline ?? info.endTimeline,
    RestoreSize: info.restoreSize,
    Server: server.name,
    StopLSN: lsn,
    ...(micros === undefined ? {} : { StopTime: momentText(micros) }),
    Target: describeRecovery(position, { lsn, micros }),
    WalSegments: plan?.order.segments.length ?? 0,
    ...(warnings.length === 0 ? {} : { Warnings: warnings }),
  };
}

/** What `--dry-run` tells beside that. */
export function rehearsalFields(
  fileSystems: readonly FileSystemDemand[],
  plan: RestoreWalPlan | undefined,
): JsonObject {
  return {
    ...(plan === undefined ? {} : { Choice: plan.choice, TimelinePath: pathText(plan) }),
    DryRun: true,
    FileSystems: fileSystems.map(({ directories, needed, available }) => ({
      Directories: directories.join(', '),
      Free: available,
      Needed: needed,
    })),
  };
}

function pathText({ path }: RestoreWalPlan): string {
  return path
    .map(({ timeline, end }) => (end === undefined ? String(timeline) : `${timeline} up to ${formatLsn(end)}`))
    .join(', then ');
}

/**
 * What a restore onto an existing cluster kept and what it wrote.
 * @param names whether the files are named
 */
export function reuseFields(reuse: ReuseReport | undefined, names: boolean): JsonObject {
  if (reuse === undefined) return {};
  const { kept, copied, rewritten, added, removed } = reuse;
  const named = {
    NewPaths: [...reuse.addedPaths],
    RemovedPaths: [...reuse.removedPaths],
    RewrittenPaths: [...reuse.rewrittenPaths],
  };
  return {
    Copied: copied.bytes,
    CopiedFiles: copied.files,
    Kept: kept.bytes,
    KeptFiles: kept.files,
    New: added.bytes,
    NewFiles: added.files,
    Removed: removed.bytes,
    RemovedFiles: removed.files,
    Rewritten: rewritten.bytes,
    RewrittenFiles: rewritten.files,
    ...(names ? named : {}),
  };
}
