import type { JobProgress, JobVerb } from '../jobs/messages.js';
import { RateMeter } from './rate.js';

/** How far a running job is. */
export interface TrackedJob {
  readonly id: number;
  readonly verb: JobVerb;
  /** Empty before the job has told one. */
  readonly phase: string;
  readonly done: number;
  /** Of this phase; 0 while it is not known. */
  readonly total: number;
  readonly unit: JobProgress['unit'];
  /** Units in a second, averaged over the last seconds. */
  readonly rate: number;
  /** Seconds since the job began. */
  readonly elapsed: number;
  /** Of the whole job, 0 to 99: at 100 it has ended. Never goes back. */
  readonly percentage: number;
  /** Seconds that are expected to remain; undefined while nobody can tell. */
  readonly remaining: number | undefined;
}

type Shares = readonly (readonly [phase: string, share: number])[];

/**
 * Shares of a verb's phases in its time, in percent. What a job spends in a phase varies; what matters is that the sum
 * never runs ahead of the job and always grows. A verb that is not listed has one phase at a time.
 */
const SHARES: Partial<Record<JobVerb, Shares>> = {
  backup: [
    ['Base backup', 95],
    ['Manifest', 2],
    ['Publish', 3],
  ],
  restore: [
    ['Look through WAL', 10],
    ['Restore backup', 80],
    ['Copy WAL', 10],
  ],
};

/** A backup that hot standbys are brought to afterwards; how long that takes depends on what has changed. */
const WITH_HOT_STANDBY = [
  ['Base backup', 57],
  ['Manifest', 1],
  ['Publish', 2],
  ['Hot standby', 40],
] as const;

const HIGHEST = 99;

/** Keeps the last progress of one job. A monotonic clock: a jump of the system's time changes nothing. */
export class JobTracker {
  readonly #id: number;
  readonly #verb: JobVerb;
  readonly #shares: Shares | undefined;
  readonly #now: () => number;
  readonly #began: number;
  readonly #meter: RateMeter;
  #last: JobProgress | undefined;
  #percentage = 0;

  /** @param standbys whether a backup has hot standbys that it is followed by */
  constructor(id: number, verb: JobVerb, now: () => number = () => performance.now(), standbys = false) {
    this.#id = id;
    this.#verb = verb;
    this.#shares = standbys && verb === 'backup' ? WITH_HOT_STANDBY : SHARES[verb];
    this.#now = now;
    this.#began = now();
    this.#meter = new RateMeter(now);
  }

  /** Takes what the job tells; gives it with rate and times. */
  update(progress: JobProgress): TrackedJob {
    this.#last = progress;
    this.#meter.take(progress);
    this.#percentage = Math.max(this.#percentage, Math.min(HIGHEST, percentageOf(this.#shares, progress)));
    return this.read();
  }

  /** How far it is now: time goes on although the job says nothing. */
  read(): TrackedJob {
    const { phase, done, total, unit } = this.#last ?? { phase: '', done: 0, total: 0, unit: 'bytes' };
    const elapsed = (this.#now() - this.#began) / 1000;
    const percentage = Math.floor(this.#percentage);
    const { rate, remaining } = this.#meter.read();
    return {
      id: this.#id,
      verb: this.#verb,
      phase,
      done,
      total,
      unit,
      rate,
      elapsed,
      percentage,
      // The moving rate tells more than the average, as long as the phase has something that can be counted.
      remaining: remaining ?? (percentage > 0 ? (elapsed * (100 - percentage)) / percentage : undefined),
    };
  }
}

function percentageOf(shares: Shares | undefined, { phase, done, total }: JobProgress): number {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  if (shares === undefined) return 100 * share;
  const index = shares.findIndex(([name]) => name === phase);
  const own = shares[index];
  if (own === undefined) return 0;
  const before = shares.slice(0, index).reduce((sum, [, percent]) => sum + percent, 0);
  return before + share * own[1];
}
