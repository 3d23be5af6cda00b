import type { Lsn, TimelineId } from '../postgres/types.js';

/** What a receiver is doing. */
export type ReceiverPhase =
  /** It was not started, or told to stop. */
  | 'stopped'
  /** It connects and finds out where to begin. */
  | 'starting'
  /** WAL comes in. */
  | 'streaming'
  /** Something is in the way; it tries again by itself. */
  | 'waiting';

/** Everything that status, log and metrics show of a receiver. */
export interface ReceiverState {
  readonly phase: ReceiverPhase;
  readonly slot: string;
  readonly timeline: TimelineId | undefined;
  /** First byte that is not written yet. */
  readonly written: Lsn | undefined;
  /** First byte that would not survive a power failure. */
  readonly durable: Lsn | undefined;
  /** When `durable` last moved. */
  readonly durableAt: Date | undefined;
  /** End of the WAL on the server as last told. */
  readonly serverEnd: Lsn | undefined;
  /** The last moment at which everything that the server had was durable here. */
  readonly caughtUpAt: Date | undefined;
  /** Size of a segment, in bytes. */
  readonly segmentSize: number | undefined;
  /** What is in the way, for people. */
  readonly problem: string | undefined;
  readonly hint: string | undefined;
  /** When it tries again. */
  readonly retryAt: Date | undefined;
  /** Attempts since it last streamed. */
  readonly failures: number;
  /** Bytes received since the daemon started. */
  readonly received: bigint;
}

/** A receiver that was never started. */
export function initialState(slot: string): ReceiverState {
  return {
    phase: 'stopped',
    slot,
    timeline: undefined,
    written: undefined,
    durable: undefined,
    durableAt: undefined,
    serverEnd: undefined,
    caughtUpAt: undefined,
    segmentSize: undefined,
    problem: undefined,
    hint: undefined,
    retryAt: undefined,
    failures: 0,
    received: 0n,
  };
}

/** How far a receiver is behind. */
export interface Lag {
  readonly bytes: bigint;
  /** Since when there is something on the server that is not durable here; 0 when there is nothing. */
  readonly seconds: number;
}

/** The lag at a moment; undefined while nothing is known of the server. */
export function lagOf(state: ReceiverState, now: Date): Lag | undefined {
  const { serverEnd, durable, caughtUpAt } = state;
  if (serverEnd === undefined || durable === undefined) return undefined;
  if (durable >= serverEnd && state.phase === 'streaming') return { bytes: 0n, seconds: 0 };
  const bytes = serverEnd > durable ? serverEnd - durable : 0n;
  const since = caughtUpAt === undefined ? 0 : Math.max(0, (now.getTime() - caughtUpAt.getTime()) / 1000);
  return { bytes, seconds: since };
}
