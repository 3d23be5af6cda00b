import { setTimeout as pause } from 'node:timers/promises';
import { PgmonetaError } from '../errors/index.js';
import { readBackupHeader } from '../native/manifest.js';
import { BackupChain } from '../native/restore.js';
import { listWal, type ScanReport, scanWal, type WalFacts } from '../native/wal-scan.js';
import { formatLsn, type Lsn, parseLsn, segmentNumber, segmentStart } from '../postgres/types.js';
import { ancestorsOf } from '../repository/ancestors.js';
import { isValid, type KnownBackup, listBackups } from '../repository/catalogue.js';
import { isGone } from '../repository/gone.js';
import type { ServerPaths } from '../repository/paths.js';
import type { Position } from '../restore/position.js';
import { actionOf } from '../restore/recovery-settings.js';
import type { WalOrder } from '../restore/wal.js';
import { readArchive, type WalArchive } from '../wal/archive.js';
import type { SegmentUse } from '../wal/coverage.js';
import type { TimelinePath } from '../wal/timelines.js';
import type { JobContext } from './context.js';
import { type Candidate, candidatesFor, firstThatLeads, isChoice, labelsBefore, pathOf } from './restore-choice.js';
import { walOrder } from './restore-order.js';
import { type Attempt, attempt, type Search, targetText } from './restore-reach.js';
import { archiveFiles } from './restore-stretch.js';
import { type BackupWal, readBackupWal, readSizedArchive } from './wal-facts.js';

/** What a restore has to know of WAL. */
export interface RestoreWalRequest {
  readonly paths: ServerPaths;
  readonly identifier: string;
  readonly position: Position;
  /** WAL is fetched by the restored server; only what it cannot fetch is copied. */
  readonly fetch: boolean;
  readonly workers: number;
  readonly context: JobContext;
  /** The backup that the identifier names; it counts when the target does not choose another. */
  readonly named: KnownBackup;
}

/** What recovery will do, and the WAL that it needs. */
export interface RestoreWalPlan {
  readonly backup: KnownBackup;
  /** Why this backup, for people. */
  readonly choice: string;
  readonly path: TimelinePath;
  readonly order: WalOrder;
  /** End of what is replayed, and the time that the restored cluster will be of; undefined when nobody knows. */
  readonly stopLsn: Lsn | undefined;
  readonly stopMicros: number | undefined;
  readonly warnings: readonly string[];
}

type Reached = Extract<Attempt, { kind: 'reached' }>;

interface ReadBackup {
  readonly backup: KnownBackup;
  readonly directory: string;
  readonly wal: BackupWal;
}

/** Segments are finished and stored while they are read: then everything is looked at once more. */
const PATIENCE_MS = 180_000;
const ATTEMPT_PAUSE_MS = 300;
/** How far is looked for a second restore point of the same name, in bytes of WAL. */
const TWIN_RANGE = 4 * 1024 ** 3;

/**
 * Chooses the backup, follows the WAL from it to the target as recovery will, and plans what is copied. Writes nothing.
 * @throws PgmonetaError RESTORE_NOBACKUP when no backup leads there; WAL_TIMELINE; RESTORE_SETUP when the WAL at hand
 * does not reach the target, with what it does reach
 */
export async function planRestoreWal(request: RestoreWalRequest): Promise<RestoreWalPlan | undefined> {
  const { kind } = request.position.target;
  if (kind === 'none') return undefined;
  const deadline = performance.now() + PATIENCE_MS;
  // What comes in from now on does not count: then there is an end to files that get other names.
  const ceiling: Ceiling = { number: undefined };
  for (;;) {
    try {
      return await planOnce(request, ceiling);
    } catch (error) {
      if (!isGone(error) || performance.now() > deadline) throw error;
      await pause(ATTEMPT_PAUSE_MS, undefined, { signal: request.context.signal });
    }
  }
}

/** The last segment that there was when the restore began. */
interface Ceiling {
  number: bigint | undefined;
}

function lastNumber(archive: WalArchive): bigint {
  const whole = [...archive.timelines.values()].flatMap((runs) => runs.map((run) => run.last));
  const numbers = [...whole, ...archive.partials.map((partial) => partial.number)];
  return numbers.reduce((highest, number) => (number > highest ? number : highest), 0n);
}

async function planOnce(request: RestoreWalRequest, ceiling: Ceiling): Promise<RestoreWalPlan> {
  const { paths, identifier, position, named } = request;
  const read = async (backup: KnownBackup): Promise<ReadBackup> => ({
    backup,
    directory: backup.directory,
    wal: await readBackupWal(backup),
  });
  const all = await Promise.all((await listBackups(paths)).filter(isValid).map(read));
  const own = await read(named);
  const { archive, facts } = await openArchive(request, own, all);
  // After pg_resetwal there may be backups with segments of another size: their WAL is another archive.
  const valid = all.filter(({ wal }) => (wal.segmentSize ?? facts.segmentSize) === facts.segmentSize);
  ceiling.number ??= lastNumber(archive);
  const { target } = position;
  const { workers, context } = request;
  const common = { archive, facts, workers, context, until: segmentStart(ceiling.number, archive.segmentSize) };
  if (target.kind === 'immediate' || target.kind === 'none') {
    const [chosen] = isChoice(identifier) ? candidatesFor(identifier, position, valid, archive.histories) : [];
    const candidate = chosen ?? { backup: own, path: pathOf(position, own.wal, archive.histories) };
    return planImmediate(request, common, candidate);
  }
  return planTo(request, { ...common, target, inclusive: position.inclusive ?? true }, own, valid);
}

/**
 * PostgreSQL stops at the first record after it is consistent, so there has to be one. A backup from a primary brings it
 * (the switch to the next segment); of others it is in the archive, if anywhere.
 */
async function planImmediate(
  { identifier }: RestoreWalRequest,
  common: Omit<Search, 'target' | 'inclusive'>,
  { backup: { backup, directory, wal }, path }: Candidate<ReadBackup>,
): Promise<RestoreWalPlan> {
  const { archive, facts } = common;
  let uses: readonly SegmentUse[] = [];
  if (wal.ownWalEnd === undefined || wal.ownWalEnd === wal.endLsn) {
    const target = { kind: 'lsn', value: formatLsn(wal.endLsn) } as const;
    const found = await attempt({ ...common, target, inclusive: false }, { directory, wal }, path);
    if (found.kind !== 'reached') {
      throw new PgmonetaError(
        'RESTORE_SETUP',
        `immediate: there is no WAL after the end of backup ${wal.label}, ${formatLsn(wal.endLsn)}, and PostgreSQL stops only when it sees some; nothing was written`,
        { hint: 'give current instead, which then ends at the same place', cause: found.error },
      );
    }
    uses = archiveFiles(archive, found.stretch, await recordEnd(found, facts));
  }
  return {
    backup,
    choice: choiceText(identifier, backup.label, 'on the way to the timeline'),
    path,
    order: await walOrder(archive, facts, uses),
    stopLsn: wal.endLsn,
    stopMicros: wal.stopTime === undefined ? undefined : wal.stopTime.getTime() * 1000,
    warnings: damagedTexts(archive),
  };
}

async function planTo(
  request: RestoreWalRequest,
  search: Search,
  own: ReadBackup,
  valid: readonly ReadBackup[],
): Promise<RestoreWalPlan> {
  const { identifier, position } = request;
  const { archive, facts, target } = search;
  const { candidate, attempt: found } = isChoice(identifier)
    ? await firstThatLeads(
        identifier,
        position,
        candidatesFor(identifier, position, valid, archive.histories),
        ({ backup, path }, until) => attempt(search, backup, path, until),
      )
    : await insist(request, search, own, valid);
  const { backup, wal } = candidate.backup;
  const to = await neededUntil(position, found, facts);
  const uses = archiveFiles(archive, found.stretch, to);
  const copied = request.fetch ? uses.filter((use) => use.partial && use.file !== archive.open?.file) : uses;
  const twin = target.kind === 'name' ? await twinWarning(search, found, target.value) : [];
  return {
    backup,
    choice: choiceText(identifier, wal.label, `that leads to ${targetText(target)}`),
    path: candidate.path,
    order: await walOrder(archive, facts, copied),
    stopLsn: parseLsn(found.stop?.end ?? found.report.end),
    stopMicros: target.kind === 'name' ? found.stop?.time : found.report.lastCommit?.time,
    warnings: [...damagedTexts(archive), ...twin],
  };
}

/** The user has said which backup. */
async function insist(request: RestoreWalRequest, search: Search, own: ReadBackup, valid: readonly ReadBackup[]) {
  const { position } = request;
  const { archive } = search;
  const path = pathOf(position, own.wal, archive.histories);
  const found: Attempt = await attempt(search, own, path);
  if (found.kind === 'reached') return { candidate: { backup: own, path }, attempt: found };
  if (found.kind !== 'early' || found.stopEnd === undefined) throw found.error;
  const labels = labelsBefore(position, valid, archive.histories, found.stopEnd);
  const hint =
    labels.length > 0 ? `these backups end before it: ${labels.join(', ')}` : 'no valid backup ends before it';
  throw new PgmonetaError('RESTORE_NOBACKUP', found.error.message, { hint, cause: found.error });
}

function choiceText(identifier: string, label: string, why: string): string {
  if (!isChoice(identifier)) return `${label}, as asked for`;
  return `${label}, the ${identifier === 'oldest' ? 'oldest' : 'newest'} valid backup ${why}`;
}

/** Opens the archive with the segment size and system of the backup. */
async function openArchive(
  { paths, context, workers }: RestoreWalRequest,
  own: ReadBackup,
  valid: readonly ReadBackup[],
): Promise<{ archive: WalArchive; facts: WalFacts; workers: number }> {
  const { masterSecret } = context;
  const sized = await readSizedArchive(
    paths.wal,
    [...valid, own].map(({ wal }) => wal),
  );
  const header = await readBackupHeader(own.directory).catch(() => undefined);
  let { systemIdentifier } = header ?? {};
  let segmentSize = own.wal.segmentSize;
  if (systemIdentifier === undefined || segmentSize === undefined) {
    const ancestors = ancestorsOf(await listBackups(paths), own.backup, true);
    const directories = [own.directory, ...ancestors.map(({ directory }) => directory)];
    const plan = await (await BackupChain.open(directories, { masterSecret })).plan();
    systemIdentifier ??= plan.systemIdentifier;
    segmentSize ??= plan.walSegmentSize ?? sized.archive.segmentSize;
  }
  const archive = sized.archive.segmentSize === segmentSize ? sized.archive : await readArchive(paths.wal, segmentSize);
  return { archive, facts: { segmentSize, systemIdentifier, masterSecret }, workers };
}

function damagedTexts({ damaged }: WalArchive): string[] {
  return [...damaged.values()].map((error) => error.message);
}

/** First byte that recovery does not have to read; with a pause the DBA may want to go on, and gets all there is. */
async function neededUntil(position: Position, found: Reached, facts: WalFacts): Promise<Lsn> {
  return found.stop === undefined || actionOf(position) === 'pause' ? found.stretch.end : recordEnd(found, facts);
}

/** End of the record that recovery stops at. */
async function recordEnd({ stretch, stop }: Reached, facts: WalFacts): Promise<Lsn> {
  if (stop === undefined) return stretch.end;
  if (stop.replayed) return parseLsn(stop.end);
  // The record that it stops before has to be there as well, all of it.
  const segments = filesFrom(stretch.files, parseLsn(stop.lsn), facts.segmentSize);
  const [record] = await listWal({ ...facts, segments, start: stop.lsn, pageSize: 8192, limit: 1 });
  return parseLsn(record?.end ?? stop.end);
}

/** The files of a stretch from the segment that holds a position on. */
function filesFrom(files: readonly string[], position: Lsn, segmentSize: number): readonly string[] {
  const wanted = segmentNumber(position, segmentSize);
  const perId = 2n ** 32n / BigInt(segmentSize);
  const numberOf = (file: string): bigint => {
    const name = file.slice(file.lastIndexOf('/') + 1);
    return BigInt(`0x${name.slice(8, 16)}`) * perId + BigInt(`0x${name.slice(16, 24)}`);
  };
  return files.slice(files.findIndex((file) => numberOf(file) === wanted));
}

/** PostgreSQL stops at the first restore point of a name; the user may have meant another one. */
async function twinWarning(
  { facts, workers, context }: Search,
  { stretch, stop }: Reached,
  name: string,
): Promise<string[]> {
  if (stop === undefined) return [];
  const rest = filesFrom(stretch.files, parseLsn(stop.lsn), facts.segmentSize);
  const report: ScanReport = await scanWal(
    { ...facts, segments: rest.slice(0, Math.ceil(TWIN_RANGE / facts.segmentSize)), start: stop.lsn, workers },
    { signal: context.signal },
  );
  const others = report.restorePoints.filter((point) => point.name === name && point.lsn !== stop.lsn);
  if (others.length === 0) return [];
  const places = others.map((point) => `lsn=${point.end}`).join(', ');
  return [
    `the name '${name}' was given more than once: recovery stops at the first after the backup, at ${stop.end}; later ones are reached with ${places}`,
  ];
}
