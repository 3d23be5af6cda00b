import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { listFiles } from '../native/fs.js';
import { segmentStart, type TimelineId } from '../postgres/types.js';
import type { PartialSegment, Stretch, WalExtent } from './extent.js';
import { type HistoryText, parseHistories, readHistoryFile } from './history-files.js';
import { looksLikeSegment, parseStoredName, type StoredSegmentName } from './stored-name.js';

/** Names that are looked at before other work of this process gets its turn. */
const STEP = 500;

/** Whole segments of one timeline without a hole between them. */
export interface Run extends Stretch {
  /** The file to read for each segment, from `first` on. */
  readonly files: readonly string[];
}

/** A file beside a better one of the same segment. */
export interface SupersededFile {
  readonly file: string;
  readonly timeline: TimelineId;
  readonly number: bigint;
}

/** What stands in a directory of WAL, told from the names alone (and the content of history files). */
export interface WalArchive extends WalExtent {
  readonly timelines: ReadonlyMap<TimelineId, readonly Run[]>;
  /** The partial segment that is being received: the last one of the newest timeline; undefined when there is none. */
  readonly open: PartialSegment | undefined;
  readonly superseded: readonly SupersededFile[];
}

/**
 * Reads a directory of WAL: one listing, and the history files.
 * A directory that does not exist is an empty archive.
 * @param segmentSize bytes per segment
 * @throws PgmonetaError IO when the directory cannot be read
 */
export async function readArchive(directory: string, segmentSize: number): Promise<WalArchive> {
  const names = await listNames(directory);
  const arrangement = new Arrangement(directory, segmentSize);
  const texts = new Map<string, HistoryText>();
  let count = 0;
  for (const name of eachName(names)) {
    // Hundreds of thousands of names do not hold up what else this process does.
    if (++count % STEP === 0) await nextTurn();
    if (name.endsWith('.history')) {
      const text = await readHistoryFile(join(directory, name));
      if (text === undefined) continue;
      texts.set(name, text);
    }
    arrangement.add(name);
  }
  return arrangement.finish(texts);
}

/** Names of regular files, ascending, listed and sorted by another thread. */
function listNames(directory: string): Promise<Buffer> {
  return listFiles(directory).catch((error: unknown) => {
    const known = asPgmonetaError(error);
    throw new PgmonetaError(known.code, known.message.replace(/^cannot list /, 'cannot list the WAL in '), {
      cause: error,
      hint: 'the daemon has to own base_dir and everything below it',
    });
  });
}

/** Whatever is WAL has a name in ASCII. */
function* eachName(names: Buffer): Generator<string> {
  for (let begin = 0, end = names.indexOf(0); end >= 0; begin = end + 1, end = names.indexOf(0, begin)) {
    yield names.toString('latin1', begin, end);
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
  const arrangement = new Arrangement(directory, segmentSize);
  for (const name of [...names].sort()) arrangement.add(name);
  return arrangement.finish(texts);
}

interface NamedSegment {
  readonly file: string;
  readonly stored: StoredSegmentName;
}

interface GrowingRun extends Run {
  last: bigint;
  readonly files: string[];
}

/** Takes names in ascending order: files of one segment are neighbours, and segments of a timeline ascend. */
class Arrangement {
  readonly #directory: string;
  readonly #segmentSize: number;
  readonly #timelines = new Map<TimelineId, GrowingRun[]>();
  readonly #partials: PartialSegment[] = [];
  readonly #superseded: SupersededFile[] = [];
  readonly #misfits: string[] = [];
  readonly #historyFiles = new Map<TimelineId, string[]>();
  /** The best file so far of the segment whose files are coming in. */
  #best: NamedSegment | undefined;

  constructor(directory: string, segmentSize: number) {
    this.#directory = directory;
    this.#segmentSize = segmentSize;
  }

  add(file: string): void {
    const stored = parseStoredName(file, this.#segmentSize);
    if (stored.kind === 'segment') this.#addSegment({ file, stored });
    else if (stored.kind === 'other' && looksLikeSegment(file)) this.#misfits.push(file);
    else if (stored.kind === 'history') {
      this.#historyFiles.set(stored.timeline, [...(this.#historyFiles.get(stored.timeline) ?? []), file]);
    }
  }

  finish(texts: ReadonlyMap<string, HistoryText>): WalArchive {
    this.#settle();
    const partials = this.#partials;
    const newest = [...this.#timelines.keys(), ...partials.map((partial) => partial.timeline)].reduce(
      (highest, timeline) => Math.max(highest, timeline),
      0,
    );
    const last = partials.at(-1);
    return {
      directory: this.#directory,
      segmentSize: this.#segmentSize,
      timelines: this.#timelines,
      partials,
      open: last?.timeline === newest ? last : undefined,
      superseded: this.#superseded,
      ...parseHistories(this.#directory, this.#historyFiles, texts),
      historyFiles: this.#historyFiles,
      misfits: this.#misfits,
    };
  }

  #addSegment(next: NamedSegment): void {
    const best = this.#best;
    if (best?.stored.segment !== next.stored.segment) {
      this.#settle();
      this.#best = next;
      return;
    }
    const worse = rank(next.stored) < rank(best.stored) ? best : next;
    const { timeline, number } = worse.stored;
    this.#superseded.push({ file: worse.file, timeline, number });
    if (worse === best) this.#best = next;
  }

  /** All files of a segment have come in. */
  #settle(): void {
    const best = this.#best;
    if (best === undefined) return;
    this.#best = undefined;
    const { segment, timeline, number, partial } = best.stored;
    if (partial) {
      const begin = segmentStart(number, this.#segmentSize);
      this.#partials.push({ file: best.file, segment, timeline, number, begin });
      return;
    }
    const runs = this.#timelines.get(timeline);
    const run = runs?.at(-1);
    if (run !== undefined && run.last + 1n === number) {
      run.last = number;
      run.files.push(best.file);
    } else if (runs !== undefined) runs.push({ first: number, last: number, files: [best.file] });
    else this.#timelines.set(timeline, [{ first: number, last: number, files: [best.file] }]);
  }
}

function rank({ partial, codec, sealed }: StoredSegmentName): number {
  if (partial) return 2;
  return codec === 'none' && !sealed ? 0 : 1;
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
