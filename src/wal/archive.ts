import { open, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { type Lsn, type SegmentName, segmentStart, type TimelineId } from '../postgres/types.js';
import { historyNames, looksLikeSegment, parseStoredName, type StoredSegmentName } from './stored-name.js';
import { HISTORY_SIZE_LIMIT, type Histories, parseHistory, type TimelineHistory } from './timelines.js';

/** Names that are looked at before other work of this process gets its turn. */
const STEP = 1000;

/** Whole segments of one timeline without a hole between them. */
export interface Run {
  readonly first: bigint;
  readonly last: bigint;
  /** The file to read for each segment, from `first` on. */
  readonly files: readonly string[];
}

/** A segment of which there is no whole file. */
export interface PartialSegment {
  readonly file: string;
  readonly segment: SegmentName;
  readonly timeline: TimelineId;
  readonly number: bigint;
  /** First byte of the segment. */
  readonly begin: Lsn;
}

/** A file beside a better one of the same segment. */
export interface SupersededFile {
  readonly file: string;
  readonly timeline: TimelineId;
  readonly number: bigint;
}

/** What stands in a directory of WAL, told from the names alone (and the content of history files). */
export interface WalArchive {
  readonly directory: string;
  /** Bytes per segment. */
  readonly segmentSize: number;
  /** Whole segments, ascending. */
  readonly timelines: ReadonlyMap<TimelineId, readonly Run[]>;
  /** Ascending by timeline and number. */
  readonly partials: readonly PartialSegment[];
  /** The partial segment that is being received: the last one of the newest timeline; undefined when there is none. */
  readonly open: PartialSegment | undefined;
  readonly superseded: readonly SupersededFile[];
  readonly histories: Histories;
  /** Files of each history, both cases. */
  readonly historyFiles: ReadonlyMap<TimelineId, readonly string[]>;
  /** Why a history file cannot be used. */
  readonly damaged: ReadonlyMap<TimelineId, PgmonetaError>;
  /** Files with the name of a segment that cannot be with this size: the size is wrong, or was changed. */
  readonly misfits: readonly string[];
}

/** The content of a history file, one character for each byte, or why it cannot be had. */
export type HistoryText = string | PgmonetaError;

/**
 * Reads a directory of WAL: one listing, and the history files.
 * A directory that does not exist is an empty archive.
 * @param segmentSize bytes per segment
 * @throws PgmonetaError IO when the directory cannot be read
 */
export async function readArchive(directory: string, segmentSize: number): Promise<WalArchive> {
  const names: string[] = [];
  const texts = new Map<string, HistoryText>();
  for (const name of await listFiles(directory)) {
    if (name.endsWith('.history')) {
      const text = await readHistory(join(directory, name));
      if (text === undefined) continue;
      texts.set(name, text);
    }
    names.push(name);
  }
  const steps = arrange(directory, segmentSize, names, texts);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await nextTurn();
  }
}

/** Regular files only. The listing comes in pieces: other work of this process goes on in between. */
async function listFiles(directory: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(directory, { bufferSize: STEP })) {
      if (entry.isFile()) names.push(entry.name);
    }
    return names;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new PgmonetaError('IO', `cannot list the WAL in ${directory}: ${message}`, {
      cause: error,
      hint: 'the daemon has to own base_dir and everything below it',
    });
  }
}

/** Undefined when the file has gone since it was listed. */
async function readHistory(path: string): Promise<HistoryText | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      // One byte more than is allowed, so that the parser sees that there is too much.
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.min(size, HISTORY_SIZE_LIMIT + 1));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return new PgmonetaError('IO', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Puts the names of a directory in order. Of several files of one segment the plain one is preferred, then a stored
 * one, then the partial one.
 * @param texts content of the history files, by name
 */
export function arrangeArchive(
  directory: string,
  segmentSize: number,
  names: readonly string[],
  texts: ReadonlyMap<string, HistoryText>,
): WalArchive {
  const steps = arrange(directory, segmentSize, names, texts);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same in steps, so that tens of thousands of names do not hold up what else this process does. */
function* arrange(
  directory: string,
  segmentSize: number,
  names: readonly string[],
  texts: ReadonlyMap<string, HistoryText>,
): Generator<undefined, WalArchive, undefined> {
  const segments: NamedSegment[] = [];
  const misfits: string[] = [];
  const historyFiles = new Map<TimelineId, string[]>();
  // In this order files of one segment are neighbours, plain, stored, partial; and segments of a timeline ascend.
  let count = 0;
  for (const file of [...names].sort()) {
    if (++count % STEP === 0) yield;
    const stored = parseStoredName(file, segmentSize);
    if (stored.kind === 'segment') segments.push({ file, stored });
    else if (stored.kind === 'other' && looksLikeSegment(file)) misfits.push(file);
    else if (stored.kind === 'history') {
      historyFiles.set(stored.timeline, [...(historyFiles.get(stored.timeline) ?? []), file]);
    }
  }
  return {
    directory,
    segmentSize,
    ...(yield* arrangeSegments(segments, segmentSize)),
    ...readHistories(directory, historyFiles, texts),
    historyFiles,
    misfits,
  };
}

interface NamedSegment {
  readonly file: string;
  readonly stored: StoredSegmentName;
}

type Arranged = Pick<WalArchive, 'timelines' | 'partials' | 'open' | 'superseded'>;

interface GrowingRun extends Run {
  last: bigint;
  readonly files: string[];
}

function* arrangeSegments(
  segments: readonly NamedSegment[],
  segmentSize: number,
): Generator<undefined, Arranged, undefined> {
  const timelines = new Map<TimelineId, GrowingRun[]>();
  const partials: PartialSegment[] = [];
  const superseded: SupersededFile[] = [];
  let index = 0;
  for (let count = 1; index < segments.length; count++) {
    const head = segments[index];
    if (head === undefined) break;
    if (count % STEP === 0) yield;
    const { segment, timeline, number } = head.stored;
    let best = head;
    for (index++; segments[index]?.stored.segment === segment; index++) {
      const other = segments[index];
      if (other === undefined) break;
      const worse = rank(other.stored) < rank(best.stored) ? best : other;
      superseded.push({ file: worse.file, timeline, number });
      if (worse === best) best = other;
    }
    if (best.stored.partial) {
      partials.push({ file: best.file, segment, timeline, number, begin: segmentStart(number, segmentSize) });
    } else addToRun(timelines, timeline, number, best.file);
  }
  const newest = [...timelines.keys(), ...partials.map((partial) => partial.timeline)].reduce(
    (highest, timeline) => Math.max(highest, timeline),
    0,
  );
  const last = partials.at(-1);
  return { timelines, partials, open: last?.timeline === newest ? last : undefined, superseded };
}

function rank({ partial, codec, sealed }: StoredSegmentName): number {
  if (partial) return 2;
  return codec === 'none' && !sealed ? 0 : 1;
}

function addToRun(timelines: Map<TimelineId, GrowingRun[]>, timeline: TimelineId, number: bigint, file: string): void {
  const runs = timelines.get(timeline);
  const run = runs?.at(-1);
  if (run !== undefined && run.last + 1n === number) {
    run.last = number;
    run.files.push(file);
  } else if (runs !== undefined) runs.push({ first: number, last: number, files: [file] });
  else timelines.set(timeline, [{ first: number, last: number, files: [file] }]);
}

function readHistories(
  directory: string,
  files: ReadonlyMap<TimelineId, readonly string[]>,
  texts: ReadonlyMap<string, HistoryText>,
): Pick<WalArchive, 'histories' | 'damaged'> {
  const histories = new Map<TimelineId, TimelineHistory>();
  const damaged = new Map<TimelineId, PgmonetaError>();
  for (const timeline of files.keys()) {
    for (const name of historyNames(timeline)) {
      const text = texts.get(name);
      if (text === undefined || histories.has(timeline)) continue;
      try {
        if (text instanceof PgmonetaError) throw text;
        histories.set(timeline, parseHistory(timeline, text, join(directory, name)));
        damaged.delete(timeline);
      } catch (error) {
        damaged.set(timeline, asPgmonetaError(error));
      }
    }
  }
  return { histories, damaged };
}

/** The whole file of a segment; undefined when there is none. */
export function wholeFile(archive: WalArchive, timeline: TimelineId, number: bigint): string | undefined {
  const runs = archive.timelines.get(timeline) ?? [];
  let low = 0;
  let high = runs.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const run = runs[middle];
    if (run === undefined) return undefined;
    if (number < run.first) high = middle - 1;
    else if (number > run.last) low = middle + 1;
    else return run.files[Number(number - run.first)];
  }
  return undefined;
}

/** All timelines of which there is a segment or a history file, ascending. */
export function timelinesOf(archive: WalArchive): readonly TimelineId[] {
  const all = new Set<TimelineId>([...archive.timelines.keys(), ...archive.historyFiles.keys()]);
  for (const { timeline } of archive.partials) all.add(timeline);
  return [...all].sort((left, right) => left - right);
}
