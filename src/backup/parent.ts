import { PgmonetaError } from '../errors/index.js';
import { formatLsn, parseLsn } from '../postgres/index.js';
import { describeMissing, isValid, type KnownBackup, type StoredBackup } from '../repository/catalogue.js';

/** A stretch of WAL on the server's way: from `begin` up to, not including, `end`; without `end` as far as there is WAL. */
export interface TimelineStretch {
  readonly timeline: number;
  readonly begin: bigint;
  readonly end: bigint | undefined;
}

/** A backup that may become a parent. */
export interface ParentCandidate {
  readonly backup: StoredBackup;
  /** Of the cluster that it is of, decimal; undefined when that could not be found out. */
  readonly systemIdentifier: string | undefined;
}

/** What is asked for, and the server that asks. */
export interface ParentQuestion {
  /** Name of the server in the configuration. */
  readonly server: string;
  /** A label, `oldest`, `newest` or `latest`. */
  readonly identifier: string;
  /** All backups of the server, oldest first. */
  readonly candidates: readonly ParentCandidate[];
  readonly systemIdentifier: string;
  readonly majorVersion: number;
  /** Where the server's WAL comes from, oldest timeline first; the last one is the one that is written now. */
  readonly path: readonly TimelineStretch[];
  /** End of the server's WAL. */
  readonly position: bigint;
}

const WORDS: ReadonlySet<string> = new Set(['oldest', 'newest', 'latest']);

/**
 * The backup on which an incremental one is built: a label, or the oldest or newest backup that fits. One fits that is
 * valid, with all its ancestors, is of the same cluster and major version, and lies on the way that the server's WAL
 * has taken. A backup may have any number of children.
 * @throws PgmonetaError BACKUP_NOBACKUPS when nothing is there or fits, BACKUP_PARENT when the named one does not
 */
export function chooseParent(question: ParentQuestion): KnownBackup {
  const { server, identifier, candidates } = question;
  if (!WORDS.has(identifier)) return namedParent(question);
  const fits = (candidate: ParentCandidate): boolean => misfit(candidate, question) === undefined;
  const found = identifier === 'oldest' ? candidates.find(fits) : candidates.findLast(fits);
  if (found !== undefined) return found.backup as KnownBackup;
  throw new PgmonetaError('BACKUP_NOBACKUPS', `server ${server} has no backup to build on${reasons(question)}`, {
    hint: `take a full backup first: pgmoneta-cli backup ${server} - or let pgmoneta decide: pgmoneta-cli backup ${server} ${identifier} --or-full`,
  });
}

function namedParent(question: ParentQuestion): KnownBackup {
  const { server, identifier, candidates } = question;
  const named = candidates.find(({ backup }) => backup.label === identifier);
  if (named === undefined) {
    const backups = candidates.map(({ backup }) => backup);
    throw new PgmonetaError('BACKUP_NOBACKUPS', describeMissing(server, identifier, backups), {
      hint: alternative(question),
    });
  }
  const why = misfit(named, question);
  if (why === undefined) return named.backup as KnownBackup;
  throw new PgmonetaError(
    'BACKUP_PARENT',
    `backup ${identifier} of ${server} cannot be the parent of an incremental backup: ${why}`,
    { hint: alternative(question) },
  );
}

/** What to do instead of what was asked for. */
function alternative(question: ParentQuestion): string {
  const { server, candidates } = question;
  const other = candidates.findLast((candidate) => misfit(candidate, question) === undefined);
  if (other === undefined) return `take a full backup: pgmoneta-cli backup ${server}`;
  return `the newest backup that would do is ${other.backup.label}: pgmoneta-cli backup ${server} newest`;
}

/** Why none fits, the newest first. */
function reasons(question: ParentQuestion): string {
  const all = question.candidates.map((candidate) => `${candidate.backup.label}: ${misfit(candidate, question)}`);
  const shown = all.reverse().slice(0, 3);
  const more = all.length > shown.length ? `; and ${all.length - shown.length} more` : '';
  return shown.length === 0 ? '' : ` (${shown.join('; ')}${more})`;
}

/** Why a backup cannot be a parent; undefined when it can. */
export function misfit(candidate: ParentCandidate, question: ParentQuestion): string | undefined {
  const { backup, systemIdentifier } = candidate;
  if (!isValid(backup)) return `it is not valid (${backup.problem})`;
  const { majorVersion } = backup.info;
  if (majorVersion !== question.majorVersion) {
    return `it is of PostgreSQL ${majorVersion}, the server is PostgreSQL ${question.majorVersion}`;
  }
  if (systemIdentifier === undefined) return 'its manifest does not tell of which cluster it is';
  if (systemIdentifier !== question.systemIdentifier) {
    return `it is of another cluster (system identifier ${systemIdentifier}; that of the server is ${question.systemIdentifier})`;
  }
  return brokenChain(backup, question) ?? offThePath(backup, question);
}

function brokenChain(backup: KnownBackup, { candidates }: ParentQuestion): string | undefined {
  const seen = new Set<string>();
  let at = backup;
  while (at.info.incremental) {
    const { parent } = at.info;
    if (seen.has(parent)) return `its ancestor ${parent} is an ancestor of itself`;
    seen.add(parent);
    const found = candidates.find((other) => other.backup.label === parent)?.backup;
    if (found === undefined) return `its ancestor ${parent} is missing`;
    if (!isValid(found)) return `its ancestor ${parent} is not valid (${found.problem})`;
    at = found;
  }
  return undefined;
}

/** PostgreSQL demands that both ends of the parent lie on the server's way. */
function offThePath({ info }: KnownBackup, { path, position }: ParentQuestion): string | undefined {
  const start = parseLsn(info.startLsn);
  const end = parseLsn(info.endLsn);
  const on = (timeline: number, lsn: bigint): boolean =>
    path.some(
      (piece) => piece.timeline === timeline && lsn >= piece.begin && (piece.end === undefined || lsn <= piece.end),
    );
  if (!on(info.startTimeline, start) || !on(info.endTimeline, end)) {
    return `it runs from ${info.startLsn} on timeline ${info.startTimeline} to ${info.endLsn} on timeline ${info.endTimeline}, which the server has not come by (${describe(path)})`;
  }
  if (end > position) return `it ends at ${info.endLsn}, but the WAL of the server ends at ${formatLsn(position)}`;
  return undefined;
}

function describe(path: readonly TimelineStretch[]): string {
  const pieces = path.map(({ timeline, end }) =>
    end === undefined ? `timeline ${timeline}` : `timeline ${timeline} up to ${formatLsn(end)}`,
  );
  return `its way is ${pieces.join(', then ')}`;
}
