import { momentText } from './moment.js';
import type { Position } from './position.js';
import { actionOf } from './recovery-settings.js';

/** Where a recovery ends, as far as it is known. */
export interface RecoveryEnd {
  /** `%X/%X`; the end of what is replayed. */
  readonly lsn: string | undefined;
  /** Microseconds since 1970. */
  readonly micros: number | undefined;
}

const AFTERWARDS = {
  promote: 'then becomes a primary on a new timeline',
  pause: 'then pauses, readable, until pg_wal_replay_resume() or a promotion',
  shutdown: 'then shuts down',
} as const;

/** What the restored server does when it is started, for people. */
export function describeRecovery(position: Position, end: RecoveryEnd): string {
  const { target, role } = position;
  const at = [end.lsn, end.micros === undefined ? undefined : momentText(end.micros)].filter((part) => part).join(', ');
  const place = at === '' ? '' : ` (${at})`;
  if (role === 'replica' && target.kind === 'none') return 'becomes a standby and follows its primary';
  if (target.kind === 'none')
    return `recovers to the end of the backup${place}, then runs on the timeline of the backup`;
  const afterwards =
    role === 'replica' && target.kind === 'current' ? 'then follows its primary' : AFTERWARDS[actionOf(position)];
  return `recovers up to ${goal(position)}${place}, ${afterwards}`;
}

function goal({ target, inclusive }: Position): string {
  const side = inclusive === false ? 'just before' : 'just after';
  switch (target.kind) {
    case 'none':
    case 'immediate':
      return 'the end of the backup';
    case 'current':
      return 'the end of all WAL that there is';
    case 'name':
      return `the restore point '${target.value}'`;
    case 'xid':
      return `${side} the end of transaction ${target.value}`;
    case 'lsn':
      return inclusive === false ? `just before ${target.value}` : `the record at ${target.value}, which is included`;
    case 'time':
      return inclusive === false
        ? `just before the transactions of ${target.value}`
        : `${target.value}, transactions of that very moment included`;
  }
}
