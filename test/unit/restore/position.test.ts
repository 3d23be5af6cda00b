import { describe, expect, it } from 'vitest';
import { parsePosition } from '../../../src/restore/position.js';

describe('a position', () => {
  it('may be absent', () => {
    for (const text of [undefined, null, '']) {
      expect(parsePosition(text)).toMatchObject({ target: { kind: 'none' }, role: 'primary' });
    }
  });

  it('has a target, a role and modifiers in any order', () => {
    expect(parsePosition('replica,timeline=3,lsn=A/1F,inclusive=off,action=pause')).toEqual({
      target: { kind: 'lsn', value: 'A/1F' },
      role: 'replica',
      inclusive: false,
      timeline: '3',
      action: 'pause',
    });
    expect(parsePosition('current').target).toEqual({ kind: 'current' });
    expect(parsePosition('immediate,primary').target).toEqual({ kind: 'immediate' });
    expect(parsePosition('name=a=b').target).toEqual({ kind: 'name', value: 'a=b' });
    expect(parsePosition('time=2026-01-31 13:45:00.5+01').target).toEqual({
      kind: 'time',
      value: '2026-01-31 12:45:00.5+00',
      micros: Date.UTC(2026, 0, 31, 12, 45, 0, 500) * 1000,
    });
    // A full id, with its epoch; digits that PostgreSQL would take for octal ones.
    expect(parsePosition('xid=4294967999').target).toEqual({ kind: 'xid', value: '703' });
    expect(parsePosition('xid=0755').target).toEqual({ kind: 'xid', value: '755' });
    expect(parsePosition('lsn=0a/00b').target).toEqual({ kind: 'lsn', value: 'A/B' });
    expect(parsePosition('inclusive,timeline,action,current')).toMatchObject({
      inclusive: true,
      timeline: 'latest',
      action: 'pause',
    });
  });

  it.each([
    'currant',
    'xid=12a',
    'xid=2',
    'xid=18446744073709551616',
    'lsn=0x12',
    'name=',
    `name=${'n'.repeat(64)}`,
    'time=yesterday',
    'timeline=0',
    'timeline=4294967296',
    'inclusive=maybe',
    'action=explode',
    'current=1',
    "restore_command='rm -rf /'",
    'name=a\nb',
    'x'.repeat(5000),
  ])('refuses %j', (text) => {
    expect(() => parsePosition(text)).toThrow(expect.objectContaining({ code: 'RESTORE_ERROR' }));
  });

  it('refuses two targets with the number that 0.21 gives it', () => {
    expect(() => parsePosition('current,xid=1')).toThrow(expect.objectContaining({ code: 'RESTORE_NOBACKUP' }));
  });
});
