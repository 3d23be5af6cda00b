import { native } from './errors.js';
import { loadAddon } from './load.js';

/** What a directory of WAL has, told from the names of its files. */
export interface NativeWalSurvey {
  /** Of each stretch of whole segments: timeline, first and last segment, counted since LSN 0. Ascending. */
  readonly runs: Float64Array;
  /** Of each segment without a whole file: timeline and number. Ascending. */
  readonly partials: Float64Array;
  /** Names of history files, ascending. */
  readonly histories: readonly string[];
  /** The first few names of segments that cannot be with this size. */
  readonly misfits: readonly string[];
  /** What segments and history files take; 0 when it was not asked for. */
  readonly bytes: number;
  /** Bytes of a segment, as the newest plain or partial file has them. */
  readonly sizeOnDisk?: number | undefined;
}

interface SurveyAddon {
  surveyWal(directory: string, segmentSize: number, withBytes: boolean): Promise<NativeWalSurvey>;
}

/**
 * Looks at a directory of WAL on a thread of its own; a directory that does not exist is empty.
 * @param withBytes asks every file for its size
 * @throws PgmonetaError IO when it cannot be listed; USAGE when segments cannot have that size
 */
export function surveyWalDirectory(
  directory: string,
  segmentSize: number,
  withBytes: boolean,
): Promise<NativeWalSurvey> {
  return native(() => loadAddon<SurveyAddon>().surveyWal(directory, segmentSize, withBytes));
}
