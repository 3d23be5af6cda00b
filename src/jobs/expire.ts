import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { listBackups, type StoredBackup } from '../repository/catalogue.js';
import { FreedSpace } from '../repository/freed.js';
import { type ServerPaths, serverPaths } from '../repository/paths.js';
import { settleRollUps } from '../repository/roll-ups.js';
import { planRetention, type RetentionPlan } from '../retention/policy.js';
import type { Job, JobContext } from './context.js';
import { validCode } from './list-backup.js';
import type { JsonObject } from './messages.js';
import { removeBackup } from './remove-backup.js';
import { flag } from './request.js';
import { retentionFacts } from './retention-facts.js';
import { serverOf } from './servers.js';
import { trimWal, walFields } from './trim-wal.js';
import { lockWriter } from './writer-lock.js';

/**
 * Removes the backups of a server that its retention does not keep, and the WAL that nothing needs any more. A
 * rehearsal tells what would happen and why, and changes nothing.
 */
export const expireJob: Job = async (request, context) => {
  const server = serverOf(context.configuration, request, 'RETENTION_NOSERVER');
  const paths = serverPaths(context.configuration.main.base_dir, server.name);
  if (flag(request, 'DryRun')) {
    const plan = await makePlan(paths, server);
    const wal = await trimWal(paths, server, context, { rehearsal: true, without: new Set(plan.remove) });
    return { ...response(server.name, plan, await sizesOf(plan), true), ...walFields(wal) };
  }
  const writer = await lockWriter(paths, `expiry of ${server.name}`, 'DELETE_BACKUP_ACTIVE', context);
  try {
    for (const deed of await settleRollUps(paths)) context.log('warn', `${server.name}: ${deed}`);
    const plan = await makePlan(paths, server);
    const freed = await carryOut(paths, server.name, plan, context);
    const wal = await trimWal(paths, server, flag(request, 'Scheduled') ? quiet(context) : context);
    return { ...response(server.name, plan, freed, false), ...walFields(wal) };
  } finally {
    writer.release();
  }
};

/** What is no news every few minutes: why WAL stays. `expire` by hand tells it. */
function quiet(context: JobContext): JobContext {
  return { ...context, log: (level, text, fields) => context.log(level === 'warn' ? 'debug' : level, text, fields) };
}

/** A plan, and the backups that it speaks of. */
interface ExpiryPlan extends RetentionPlan {
  readonly backups: ReadonlyMap<string, StoredBackup>;
}

async function makePlan(paths: ServerPaths, { retention }: EffectiveServer): Promise<ExpiryPlan> {
  const stored = await listBackups(paths);
  const backups = [];
  for (const backup of stored) backups.push(await retentionFacts(paths, backup));
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const plan = planRetention({ backups, retention, now: new Date(), zone: timeZone });
  return { ...plan, backups: new Map(stored.map((backup) => [backup.label, backup])) };
}

/** Bytes that each removal gives back, in the order in which they happen. */
async function sizesOf({ remove, backups }: ExpiryPlan): Promise<Map<string, number>> {
  const space = new FreedSpace();
  const sizes = new Map<string, number>();
  for (const label of remove) sizes.set(label, await space.add(directoryOf(backups, label)));
  return sizes;
}

function directoryOf(backups: ReadonlyMap<string, StoredBackup>, label: string): string {
  const found = backups.get(label);
  if (found === undefined) throw new PgmonetaError('INTERNAL', `the plan removes ${label}, which is not there`);
  return found.directory;
}

/**
 * Removes what the plan removes. Somebody may have begun to read a backup since the plan was made: that one stays, and
 * so does everything that it builds upon; the next run sees to it.
 */
async function carryOut(
  paths: ServerPaths,
  server: string,
  plan: ExpiryPlan,
  context: JobContext,
): Promise<Map<string, number>> {
  const freed = new Map<string, number>();
  const reasons = new Map(plan.decisions.map(({ label, reasons: why }) => [label, why.join('; ')]));
  const needed = new Set<string>();
  for (const label of plan.remove) {
    const backup = plan.backups.get(label);
    context.signal.throwIfAborted();
    context.progress({ phase: 'Delete', done: freed.size, total: plan.remove.length, unit: 'files' });
    if (backup === undefined || needed.has(label)) continue;
    const { parent } = backup.info ?? {};
    try {
      // Each by itself: the links that went with those before it are gone from the disk too.
      const size = await new FreedSpace().add(backup.directory);
      const backups = [...plan.backups.values()].filter((other) => !freed.has(other.label));
      const reason = `expired: ${reasons.get(label)}`;
      await removeBackup(paths, { server, backup, backups, reason, freed: size }, context);
      freed.set(label, size);
    } catch (error) {
      const { code, message } = asPgmonetaError(error);
      if (code !== 'DELETE_BACKUP_ACTIVE' && code !== 'DELETE_BACKUP_RETAINED') throw error;
      context.log('info', `expired backup ${label} of ${server} stays until the next run: ${message}`);
      for (let next = parent; next; next = plan.backups.get(next)?.info?.parent) {
        if (needed.has(next)) break;
        needed.add(next);
      }
    }
  }
  return freed;
}

function response(
  server: string,
  { decisions, backups }: ExpiryPlan,
  freed: ReadonlyMap<string, number>,
  rehearsal: boolean,
): JsonObject {
  const newest = [...backups.values()].findLast(({ info }) => info !== undefined)?.info;
  const entries = decisions.map(({ label, action, reasons }): JsonObject => {
    const backup = backups.get(label) as StoredBackup;
    const postponed = action === 'remove' && !freed.has(label);
    return {
      Action: postponed ? 'postponed' : action,
      Backup: label,
      BackupSize: backup.info?.backupSize ?? 0,
      ...(action === 'remove' ? { Freed: freed.get(label) ?? 0 } : {}),
      Reason: reasons.join('; '),
      Valid: validCode(backup),
    };
  });
  return {
    Backups: entries,
    DryRun: rehearsal,
    Freed: [...freed.values()].reduce((sum, size) => sum + size, 0),
    MajorVersion: newest?.majorVersion ?? 0,
    MinorVersion: newest?.minorVersion ?? 0,
    NumberOfRemoved: freed.size,
    Server: server,
  };
}
