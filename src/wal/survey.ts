import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type NativeWalSurvey, surveyWalDirectory } from '../native/wal-survey.js';
import { segmentName, segmentStart, type TimelineId } from '../postgres/types.js';
import type { PartialSegment, Stretch, WalExtent } from './extent.js';
import { type HistoryText, parseHistories, readHistoryFile } from './history-files.js';

/** Stretches that are taken over before other work of this process gets its turn. */
const STEP = 1000;

/** What a directory of WAL has, and what it takes. */
export interface WalSurvey extends WalExtent {
  /** Bytes that its segments and history files take, spare ones too; 0 unless they were asked for. */
  readonly bytes: number;
  /** Size of segments as a plain or partial file has it; undefined when there is none. */
  readonly sizeOnDisk: number | undefined;
}

/**
 * Looks at a directory of WAL without its names coming into this thread: the daemon does it while it receives, and an
 * archive has hundreds of thousands of them. A directory that does not exist is empty.
 * @param segmentSize bytes per segment
 * @throws PgmonetaError IO when the directory cannot be listed
 */
export async function surveyWal(
  directory: string,
  segmentSize: number,
  options: { readonly bytes?: boolean } = {},
): Promise<WalSurvey> {
  const found = await surveyWalDirectory(directory, segmentSize, options.bytes ?? false);
  const historyFiles = new Map<TimelineId, string[]>();
  const texts = new Map<string, HistoryText>();
  for (const name of found.histories) {
    const text = await readHistoryFile(join(directory, name));
    if (text === undefined) continue;
    const timeline = Number.parseInt(name.slice(0, 8), 16) as TimelineId;
    historyFiles.set(timeline, [...(historyFiles.get(timeline) ?? []), name]);
    texts.set(name, text);
  }
  return {
    directory,
    segmentSize,
    timelines: await stretches(found),
    partials: await partials(found, segmentSize),
    ...parseHistories(directory, historyFiles, texts),
    historyFiles,
    misfits: found.misfits,
    bytes: found.bytes,
    sizeOnDisk: found.sizeOnDisk,
  };
}

async function stretches({ runs }: NativeWalSurvey): Promise<WalExtent['timelines']> {
  const timelines = new Map<TimelineId, Stretch[]>();
  for (let at = 0; at + 2 < runs.length; at += 3) {
    if (at % (3 * STEP) === 0 && at > 0) await nextTurn();
    const [timeline, first, last] = runs.subarray(at, at + 3) as unknown as [TimelineId, number, number];
    const stretch = { first: BigInt(first), last: BigInt(last) };
    const known = timelines.get(timeline);
    if (known === undefined) timelines.set(timeline, [stretch]);
    else known.push(stretch);
  }
  return timelines;
}

async function partials(found: NativeWalSurvey, segmentSize: number): Promise<readonly PartialSegment[]> {
  const result: PartialSegment[] = [];
  for (let at = 0; at + 1 < found.partials.length; at += 2) {
    if (at % (2 * STEP) === 0 && at > 0) await nextTurn();
    const timeline = found.partials[at] as TimelineId;
    const number = BigInt(found.partials[at + 1] as number);
    const segment = segmentName(timeline, number, segmentSize);
    const begin = segmentStart(number, segmentSize);
    result.push({ file: `${segment}.partial`, segment, timeline, number, begin });
  }
  return result;
}
