import type { JsonObject } from '../jobs/messages.js';
import { formatLsn, type Lsn } from '../postgres/index.js';
import { lagOf, type ReceiverState } from '../wal/receiver-state.js';

/**
 * The keys about a receiver in `status` and `status details`. `WalStreaming` is that of pgmoneta; the others are ours.
 * @param problems what keeps finished segments from being stored, and from being shipped
 */
export function receiverFields(
  state: ReceiverState,
  problems: { readonly store: string | undefined; readonly shipping: string | undefined },
  now: Date,
): JsonObject {
  const lag = lagOf(state, now);
  const position = (lsn: Lsn | undefined): string => (lsn === undefined ? '' : formatLsn(lsn));
  return {
    WalStreaming: state.phase === 'streaming',
    WalReceiver: state.phase,
    WalSlot: state.slot,
    WalTimeline: state.timeline ?? 0,
    WalWritten: position(state.written),
    WalDurable: position(state.durable),
    WalDurableAge: state.durableAt === undefined ? -1 : seconds(now.getTime() - state.durableAt.getTime()),
    WalServerEnd: position(state.serverEnd),
    WalLag: lag === undefined ? -1 : Number(lag.bytes),
    WalLagSeconds: lag === undefined ? -1 : seconds(lag.seconds * 1000),
    ...(state.problem === undefined ? {} : { WalProblem: problemOf(state) }),
    ...(state.retryAt === undefined ? {} : { WalRetryAt: state.retryAt.toISOString() }),
    ...(problems.store === undefined ? {} : { WalStoreProblem: problems.store }),
    ...(problems.shipping === undefined ? {} : { WalShippingProblem: problems.shipping }),
  };
}

function problemOf({ problem = '', hint }: ReceiverState): string {
  return hint === undefined ? problem : `${problem}; ${hint}`;
}

function seconds(milliseconds: number): number {
  return Math.max(0, Math.round(milliseconds / 100) / 10);
}
