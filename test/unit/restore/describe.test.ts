import { describe, expect, it } from 'vitest';
import { describeRecovery } from '../../../src/restore/describe.js';
import { parsePosition } from '../../../src/restore/position.js';

const END = { lsn: '0/5000', micros: Date.UTC(2026, 0, 31, 13, 45) * 1000 };
const UNKNOWN = { lsn: undefined, micros: undefined };

describe('what recovery will do', () => {
  it.each([
    ['', /end of the backup \(0\/5000, 2026-01-31 13:45:00\+00\), then runs on the timeline of the backup/],
    ['immediate', /end of the backup .*becomes a primary/],
    ['current', /end of all WAL .*becomes a primary/],
    ['name=x', /restore point 'x' .*becomes a primary/],
    ['xid=700,inclusive=off,action=shutdown', /just before the end of transaction 700 .*shuts down/],
    ['lsn=0/5000,action=pause', /record at 0\/5000, which is included .*pauses/],
    ['time=2026-01-31 13:45:00Z', /2026-01-31 13:45:00\+00, transactions of that very moment included/],
    ['replica', /^becomes a standby/],
    ['replica,current', /end of all WAL .*then follows its primary/],
    ['replica,xid=700', /transaction 700 .*pauses/],
  ])('%s', (position, text) => {
    expect(describeRecovery(parsePosition(position), END)).toMatch(text);
  });

  it('is told without an end as well', () => {
    expect(describeRecovery(parsePosition('name=x'), UNKNOWN)).toBe(
      "recovers up to the restore point 'x', then becomes a primary on a new timeline",
    );
  });
});
