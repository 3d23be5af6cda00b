import { PgmonetaError } from '../errors/index.js';
import { formatLsn, type Lsn, parseLsn, type TimelineId, ZERO_LSN } from '../postgres/types.js';

/** One line of a history file: up to where a timeline was followed. */
export interface HistoryEntry {
  readonly timeline: TimelineId;
  /** First byte that belongs to the next timeline. */
  readonly switchPoint: Lsn;
}

/** The content of `<timeline>.history`: where the timeline comes from, oldest ancestor first. */
export interface TimelineHistory {
  readonly timeline: TimelineId;
  readonly entries: readonly HistoryEntry[];
}

/** The history files at hand. Timeline 1 has none. */
export type Histories = ReadonlyMap<TimelineId, TimelineHistory>;

/** A stretch of WAL on one timeline: from `begin` up to, not including, `end`; without `end` as far as there is WAL. */
export interface PathPiece {
  readonly timeline: TimelineId;
  readonly begin: Lsn;
  readonly end: Lsn | undefined;
}

/** Which timeline holds which stretch of WAL on the way to a timeline, oldest first, without holes. */
export type TimelinePath = readonly PathPiece[];

/** In bytes. No server has switched timelines so often; a larger file is refused rather than kept in memory. */
export const HISTORY_SIZE_LIMIT = 1024 * 1024;
/** PostgreSQL writes the name of a restore point into the line, at most 63 bytes of it. */
const LINE_LIMIT = 4096;
const ENTRY = /^[ \t]*([0-9]{1,10})[ \t]+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:[ \t\r]|$)/;

/**
 * Reads a history file as PostgreSQL does: comments and empty lines are skipped, the reason at the end of a line is
 * not looked at. NUL bytes at the end, which pgmoneta 0.21 writes, are no part of the file.
 *
 * Positions may fall from one line to the next: PostgreSQL writes that itself when it recovers along a timeline to a
 * point before that timeline began and then starts a new one (`ancestry` knows what it means).
 * @param text the file's bytes, one character each (latin1)
 * @param source path, for messages
 * @throws PgmonetaError REPOSITORY_DAMAGED with file, line and cause
 */
export function parseHistory(timeline: TimelineId, text: string, source: string): TimelineHistory {
  if (text.length > HISTORY_SIZE_LIMIT) damaged(source, 1, `the file is larger than ${HISTORY_SIZE_LIMIT} bytes`);
  const entries: HistoryEntry[] = [];
  withoutPadding(text)
    .split('\n')
    .forEach((line, index) => {
      if (/^[ \t\r\v\f]*(#|$)/.test(line)) return;
      entries.push(parseEntry(line, source, index + 1, entries.at(-1)?.timeline, timeline));
    });
  return { timeline, entries };
}

function withoutPadding(text: string): string {
  let length = text.length;
  while (length > 0 && text.charCodeAt(length - 1) === 0) length--;
  return text.slice(0, length);
}

function parseEntry(
  line: string,
  source: string,
  number: number,
  before: TimelineId | undefined,
  child: TimelineId,
): HistoryEntry {
  if (line.length > LINE_LIMIT) damaged(source, number, `the line is longer than ${LINE_LIMIT} bytes`);
  const [, timelineText, lsnText] = ENTRY.exec(line) ?? [];
  if (timelineText === undefined || lsnText === undefined) {
    damaged(source, number, `expected a timeline and a WAL position, found ${JSON.stringify(line.slice(0, 60))}`);
  }
  const timeline = Number(timelineText);
  if (timeline < 1 || timeline > 0xffffffff) damaged(source, number, `${timelineText} is not a timeline`);
  if (before !== undefined && timeline <= before) {
    damaged(source, number, `timeline ${timeline} follows timeline ${before}; the numbers have to rise`);
  }
  if (timeline >= child) {
    damaged(source, number, `timeline ${timeline} cannot be an ancestor of timeline ${child}`);
  }
  const switchPoint = parseLsn(lsnText);
  if (switchPoint === ZERO_LSN) damaged(source, number, 'no timeline ends at 0/0');
  return { timeline: timeline as TimelineId, switchPoint };
}

function damaged(source: string, line: number, why: string): never {
  throw new PgmonetaError('REPOSITORY_DAMAGED', `${source}:${line}: ${why}`, {
    hint: 'move the file away; it is fetched from the server again when the server knows that timeline',
  });
}

/** The ancestors of a timeline: from its own history file, or from that of a descendant; undefined when nobody knows. */
function entriesOf(timeline: TimelineId, histories: Histories): readonly HistoryEntry[] | undefined {
  const own = histories.get(timeline);
  if (own !== undefined) return own.entries;
  if (timeline === 1) return [];
  for (const { entries } of histories.values()) {
    const index = entries.findIndex((entry) => entry.timeline === timeline);
    if (index >= 0) return entries.slice(0, index);
  }
  return undefined;
}

/** Whether it is known where a timeline comes from. */
export function isKnownTimeline(timeline: TimelineId, histories: Histories): boolean {
  return entriesOf(timeline, histories) !== undefined;
}

/**
 * The way to a timeline: which timeline holds which stretch of WAL, oldest first. A timeline of which nobody knows
 * where it comes from is taken to have no parents, as PostgreSQL does.
 *
 * Where switch points fall, the newer timeline wins, as in PostgreSQL: with `1 0/4000000` and `2 0/2000000` in
 * `00000003.history`, the way to 3 is timeline 1 up to 0/2000000 and then 3, nothing of 2.
 */
export function ancestry(timeline: TimelineId, histories: Histories): TimelinePath {
  const entries = entriesOf(timeline, histories) ?? [];
  const pieces: PathPiece[] = [];
  let limit: Lsn | undefined;
  for (let index = entries.length; index >= 0; index--) {
    const begin = entries[index - 1]?.switchPoint ?? ZERO_LSN;
    if (limit !== undefined && begin >= limit) continue;
    pieces.push({ timeline: entries[index]?.timeline ?? timeline, begin, end: limit });
    limit = begin;
  }
  return pieces.reverse();
}

/** The timeline that holds the byte at `lsn` on a path; undefined for an empty path. */
export function timelineAt(path: TimelinePath, lsn: bigint): TimelineId | undefined {
  return path.findLast((piece) => piece.begin <= lsn)?.timeline;
}

/** Whether WAL of `ancestor` is a part of the way to `descendant`; a timeline is its own ancestor. */
export function isAncestor(ancestor: TimelineId, descendant: TimelineId, histories: Histories): boolean {
  return ancestry(descendant, histories).some((piece) => piece.timeline === ancestor);
}

/**
 * Whether the way leads through a point: whether everything before `end` on `timeline` is also before it on the path.
 * This is what PostgreSQL asks of a backup (with its end) before it recovers along a path.
 */
export function leadsThrough(path: TimelinePath, timeline: TimelineId, end: bigint): boolean {
  return timelineAt(path, end > 0n ? end - 1n : 0n) === timeline;
}

/**
 * The timeline that PostgreSQL takes for `recovery_target_timeline = 'latest'`: it looks for the history file of the
 * next number until there is none. The result need not come from `from`; see `latestFor`.
 */
export function newestTimeline(histories: Histories, from: TimelineId): TimelineId {
  let newest: number = from;
  while (histories.has((newest + 1) as TimelineId)) newest++;
  return newest as TimelineId;
}

/** Where a timeline leaves its parent. */
export interface Branch {
  readonly timeline: TimelineId;
  /** Undefined when the timeline has no parent, or nobody knows it. */
  readonly parent: TimelineId | undefined;
  /** First byte of its own. */
  readonly begin: Lsn;
}

/** All known timelines with the point where each leaves its parent, ascending. Rivals have the same parent. */
export function branches(histories: Histories, others: Iterable<TimelineId> = []): readonly Branch[] {
  const timelines = new Set<TimelineId>(others);
  for (const { timeline, entries } of histories.values()) {
    timelines.add(timeline);
    for (const entry of entries) timelines.add(entry.timeline);
  }
  return [...timelines]
    .sort((left, right) => left - right)
    .map((timeline) => {
      const path = ancestry(timeline, histories);
      return { timeline, parent: path.at(-2)?.timeline, begin: path.at(-1)?.begin ?? ZERO_LSN };
    });
}

/** The timelines there are, for messages: `1, 2 (leaves 1 at 0/3000000)`. */
export function describeTimelines(histories: Histories, others: Iterable<TimelineId> = []): string {
  const known = branches(histories, others);
  const texts = known.map(({ timeline, parent, begin }) =>
    parent === undefined ? String(timeline) : `${timeline} (leaves ${parent} at ${formatLsn(begin)})`,
  );
  if (texts.length === 0) return 'none';
  return texts.length > 12 ? [...texts.slice(0, 3), '...', ...texts.slice(-8)].join(', ') : texts.join(', ');
}

/**
 * The way to a target timeline from a backup.
 * @param target a number, or `latest` as PostgreSQL understands it, or `current`
 * @param backup where the backup ends, and on which timeline
 * @throws PgmonetaError WAL_TIMELINE when there is no such timeline, or the backup is not on the way to it
 */
export function pathFor(
  target: TimelineId | 'latest' | 'current',
  backup: { readonly label: string; readonly timeline: TimelineId; readonly endLsn: Lsn },
  histories: Histories,
): TimelinePath {
  const timeline =
    target === 'current' ? backup.timeline : target === 'latest' ? newestTimeline(histories, backup.timeline) : target;
  const there = (): string => `the timelines there are: ${describeTimelines(histories, [backup.timeline])}`;
  if (timeline !== backup.timeline && timeline !== 1 && !histories.has(timeline)) {
    throw new PgmonetaError('WAL_TIMELINE', `timeline ${timeline} has no history file in the archive; ${there()}`);
  }
  const path = ancestry(timeline, histories);
  if (leadsThrough(path, backup.timeline, backup.endLsn)) return path;
  const word = target === 'latest' ? ' (latest)' : '';
  throw new PgmonetaError(
    'WAL_TIMELINE',
    `backup ${backup.label} ends at ${formatLsn(backup.endLsn)} on timeline ${backup.timeline}, which is not on the way to timeline ${timeline}${word}; ${there()}`,
  );
}
