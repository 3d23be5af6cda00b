import { describe, expect, it } from 'vitest';
import { walNotReceived } from '../../../src/daemon/require-wal.js';
import { initialState, type ReceiverState } from '../../../src/wal/receiver-state.js';

const state = (changes: Partial<ReceiverState>): ReceiverState => ({ ...initialState('slot'), ...changes });

describe('a backup that insists on WAL', () => {
  it('has nothing against a receiver that streams', () => {
    expect(walNotReceived('primary', state({ phase: 'streaming' }), null)).toBeUndefined();
  });

  it.each([
    [undefined, null, 'the server was added after the daemon started', 'restart the daemon'],
    [state({ phase: 'starting' }), null, 'its receiver is connecting', 'try again in a moment'],
    [state({}), null, 'its receiver is stopped', 'start it with: pgmoneta-cli mode primary online'],
    [state({}), 'other', 'because it stands in for other, of which WAL is received', 'back up other'],
    [
      state({ phase: 'waiting', problem: 'slot repl is gone', hint: 'create it', retryAt: new Date(0) }),
      null,
      'its receiver is waiting (it tries again at 1970-01-01T00:00:00.000Z): slot repl is gone',
      'create it; see: pgmoneta-cli status details',
    ],
    [state({ phase: 'waiting' }), null, 'its receiver is waiting: the connection was lost', 'see: pgmoneta-cli status'],
  ])('is refused with the state of the receiver and what to do: %o', (receiver, follow, why, next) => {
    const error = walNotReceived('primary', receiver, follow);
    expect(error).toMatchObject({ code: 'BACKUP_WAL', retryable: true });
    expect(error?.wireNumber(113)).toBe(101);
    expect(error?.message).toContain(`WAL of primary is not being received: `);
    expect(error?.message).toContain(why);
    expect(error?.hint).toContain(next);
    expect(error?.hint).toContain('without --require-wal');
  });
});
