import { describe, expect, it } from 'vitest';
import { ClockWatch } from '../../../src/daemon/clock.js';

const HOUR = 3_600_000;

/** A watch whose two clocks a test sets. */
function watch() {
  const now = { wall: Date.parse('2026-11-21T12:00:00Z'), steady: 1000 };
  const clock = new ClockWatch({ wall: () => now.wall, steady: () => now.steady });
  const pass = (hours: number, leap = 0): string | undefined => {
    now.wall += (hours + leap) * HOUR;
    now.steady += hours * HOUR;
    return clock.doubt();
  };
  return pass;
}

describe('the clock', () => {
  it('is relied upon as long as it goes as the other one does, or nearly so', () => {
    const pass = watch();
    for (let n = 0; n < 100; n++) expect(pass(24, 0.9)).toBeUndefined();
  });

  it('may be set back', () => {
    const pass = watch();
    expect(pass(1, -5000)).toBeUndefined();
  });

  it('is doubted for a day when it was set forward', () => {
    const pass = watch();
    expect(pass(1, 8760)).toBe(
      'the clock of this host went forward by 8760.0 hours at once; nothing expires by itself for 24 hours',
    );
    expect(pass(12)).toContain('for 12 hours');
    expect(pass(12)).toBeUndefined();
    expect(pass(1000)).toBeUndefined();
  });

  it('is doubted anew when it goes forward again, by being put right too', () => {
    const pass = watch();
    expect(pass(1, 100)).toContain('100.0 hours');
    expect(pass(1, -100)).toContain('100.0 hours');
    expect(pass(1, 2)).toContain('2.0 hours at once; nothing expires by itself for 24 hours');
  });
});
