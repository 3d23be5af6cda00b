import { describe, expect, it } from 'vitest';
import { Calendar } from '../../../src/retention/calendar.js';

const name = (zone: string, kind: 'week' | 'month' | 'year', moment: string): string =>
  new Calendar(zone).period(kind, new Date(moment)).name;

describe('weeks are those of ISO 8601', () => {
  // The table of the standard, and years with 53 weeks: 2015, 2020, 2026.
  it.each([
    ['2005-01-01', '2004-W53'],
    ['2005-01-02', '2004-W53'],
    ['2005-12-31', '2005-W52'],
    ['2007-01-01', '2007-W01'],
    ['2007-12-30', '2007-W52'],
    ['2007-12-31', '2008-W01'],
    ['2008-12-28', '2008-W52'],
    ['2008-12-29', '2009-W01'],
    ['2009-12-31', '2009-W53'],
    ['2010-01-03', '2009-W53'],
    ['2010-01-04', '2010-W01'],
    ['2020-12-31', '2020-W53'],
    ['2021-01-03', '2020-W53'],
    ['2021-01-04', '2021-W01'],
    ['2026-11-15', '2026-W46'],
    ['2026-11-16', '2026-W47'],
    ['2026-12-31', '2026-W53'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
  ])('%s is in %s', (day, week) => {
    expect(name('UTC', 'week', `${day}T12:00:00Z`)).toBe(week);
  });

  it('are numbered without a hole over the end of a year', () => {
    const calendar = new Calendar('UTC');
    const week = (day: string): number => calendar.period('week', new Date(`${day}T00:00:00Z`)).number;
    expect(week('2027-01-04') - week('2026-12-28')).toBe(1);
    expect(week('2027-01-03') - week('2026-12-28')).toBe(0);
    expect(week('2021-01-04') - week('2019-12-30')).toBe(53);
  });
});

describe('a day ends when the clocks of the zone say so', () => {
  it.each([
    ['UTC', '2026-11-30T23:30:00Z', '2026-11'],
    ['Europe/Berlin', '2026-11-30T22:59:59Z', '2026-11'],
    ['Europe/Berlin', '2026-11-30T23:00:00Z', '2026-12'],
    ['Europe/Berlin', '2026-07-31T21:59:59Z', '2026-07'],
    ['Europe/Berlin', '2026-07-31T22:00:00Z', '2026-08'],
    ['America/New_York', '2026-12-01T04:59:59Z', '2026-11'],
    ['Asia/Kathmandu', '2026-11-30T18:15:00Z', '2026-12'],
    ['Pacific/Kiritimati', '2026-11-30T10:00:00Z', '2026-12'],
    ['Pacific/Pago_Pago', '2026-12-01T10:59:59Z', '2026-11'],
  ])('%s, %s: %s', (zone, moment, month) => {
    expect(name(zone, 'month', moment)).toBe(month);
  });

  it('in the night in which clocks change too', () => {
    // Berlin, 2026-10-25: 02:30 comes twice. Berlin, 2026-03-29: 02:30 does not come. Both are Sundays.
    expect(name('Europe/Berlin', 'week', '2026-10-25T00:30:00Z')).toBe('2026-W43');
    expect(name('Europe/Berlin', 'week', '2026-10-25T22:59:59Z')).toBe('2026-W43');
    expect(name('Europe/Berlin', 'week', '2026-10-25T23:00:00Z')).toBe('2026-W44');
    expect(name('Europe/Berlin', 'week', '2026-03-29T21:59:59Z')).toBe('2026-W13');
    expect(name('Europe/Berlin', 'week', '2026-03-29T22:00:00Z')).toBe('2026-W14');
    // Samoa left out the whole of 2011-12-30.
    expect(name('Pacific/Apia', 'week', '2011-12-30T09:59:59Z')).toBe('2011-W52');
    expect(name('Pacific/Apia', 'year', '2011-12-31T09:59:59Z')).toBe('2011');
    expect(name('Pacific/Apia', 'year', '2011-12-31T10:00:00Z')).toBe('2012');
  });

  it('has no zone that is not there', () => {
    expect(() => new Calendar('Europe/Atlantis')).toThrow(RangeError);
  });
});
