import { describe, expect, it } from 'vitest';
import { planRetention, type RetentionBackup, type RetentionPlan } from '../../../src/retention/policy.js';

const NOW = new Date('2026-11-21T12:00:00Z');
/** Why the newest backup stays that is older than the seven days. */
const BASE = 'restores to the last 7 days begin with it';
const UNSET = { days: null, weeks: null, months: null, years: null };

/** A backup of a moment, UTC; of a day: at ten o'clock. */
function at(day: string, more: Partial<RetentionBackup> = {}): RetentionBackup {
  const time = new Date(day.includes('T') ? `${day}Z` : `${day}T10:00:00Z`);
  const label = time.toISOString().replace(/\D/g, '').slice(0, 14);
  return { label, time, valid: true, keep: false, parent: undefined, ...more };
}

function plan(backups: RetentionBackup[], retention: object, now = NOW): RetentionPlan {
  return planRetention({ backups, retention: { ...UNSET, ...retention }, now, zone: 'UTC' });
}

/** Day and reasons of those that stay. */
function kept(made: RetentionPlan): Record<string, string> {
  const entries = made.decisions.filter(({ action }) => action === 'keep');
  return Object.fromEntries(entries.map(({ label, reasons }) => [label.slice(0, 8), reasons.join('; ')]));
}

function reasonOf(made: RetentionPlan, day: string): string {
  return made.decisions.find(({ label }) => label.startsWith(day))?.reasons.join('; ') ?? 'not there';
}

describe('days', () => {
  it('keep every backup that is younger, and the one that restores to them begin with', () => {
    const days = ['2026-11-12', '2026-11-13', '2026-11-14', '2026-11-15', '2026-11-20'];
    const made = plan(
      days.map((day) => at(day)),
      { days: 7 },
    );
    expect(kept(made)).toEqual({ 20261114: BASE, 20261115: 'younger than 7 days', 20261120: 'younger than 7 days' });
    expect(made.remove).toEqual(['20261113100000', '20261112100000']);
    expect(reasonOf(made, '20261113')).toBe('older than 7 days');
  });

  it('leave no day without a backup to begin with when there is one a week', () => {
    const made = plan([at('2026-11-05'), at('2026-11-12'), at('2026-11-19')], { days: 7 });
    expect(kept(made)).toEqual({ 20261112: BASE, 20261119: 'younger than 7 days' });
    const damaged = plan([at('2026-11-05'), at('2026-11-12', { valid: false }), at('2026-11-19')], { days: 7 });
    expect(kept(damaged)).toEqual({ 20261105: BASE, 20261119: 'younger than 7 days' });
  });

  it('are 24 hours each, to the second', () => {
    const before = at('2026-11-20T11:59:59');
    const edge = at('2026-11-20T12:00:00');
    const inside = at('2026-11-20T12:00:01');
    expect(plan([before, inside], { days: 1 }).remove).toEqual([]);
    expect(plan([before, edge, inside], { days: 1 }).remove).toEqual([before.label]);
    expect(plan([before, inside, at('2026-11-21')], { days: 1 }, new Date('2026-11-21T12:00:01Z')).remove).toEqual([
      before.label,
    ]);
  });

  it('keep what the clock has not come to yet', () => {
    expect(kept(plan([at('2027-01-01')], { days: 1 }))).toEqual({ 20270101: 'newer than the clock of this host' });
  });
});

describe('weeks, months and years', () => {
  const daily = Array.from({ length: 500 }, (_, n) =>
    at(new Date(NOW.getTime() - n * 86_400_000).toISOString().slice(0, 10)),
  );

  it('keep the newest of each week, the current one included', () => {
    expect(kept(plan(daily, { weeks: 4 }))).toEqual({
      20261121: 'newest of week 2026-W47',
      20261115: 'newest of week 2026-W46',
      20261108: 'newest of week 2026-W45',
      20261101: 'newest of week 2026-W44',
    });
  });

  it('keep the newest of each month and year', () => {
    expect(kept(plan(daily, { months: 3, years: 2 }))).toEqual({
      20261121: 'newest of month 2026-11; newest of year 2026',
      20261031: 'newest of month 2026-10',
      20260930: 'newest of month 2026-09',
      20251231: 'newest of year 2025',
    });
  });

  it('keep the newest of a week of two years', () => {
    const days = ['2026-12-28', '2026-12-31', '2027-01-02', '2027-01-04'].map((day) => at(day));
    const made = plan(days, { weeks: 2 }, new Date('2027-01-05T00:00:00Z'));
    expect(kept(made)).toEqual({ 20270104: 'newest of week 2027-W01', 20270102: 'newest of week 2026-W53' });
    const years = plan(days, { years: 2 }, new Date('2027-01-05T00:00:00Z'));
    expect(kept(years)).toEqual({ 20270104: 'newest of year 2027', 20261231: 'newest of year 2026' });
  });

  it('keep nothing for a week without a backup, and count it', () => {
    const made = plan([at('2026-10-20'), at('2026-11-03'), at('2026-11-20')], { weeks: 4 });
    expect(kept(made)).toEqual({ 20261120: 'newest of week 2026-W47', 20261103: 'newest of week 2026-W45' });
    expect(reasonOf(made, '20261020')).toBe('newest of no week that keeps one');
  });

  it('say what they have looked at', () => {
    const made = plan(daily.slice(0, 60), { days: 7, weeks: 2, months: 1, years: 1 });
    expect(reasonOf(made, '20261001')).toBe('older than 7 days and newest of no week, month or year that keeps one');
  });

  it('follow the clocks of the zone', () => {
    const backups = [at('2026-10-31T22:30:00'), at('2026-10-31T23:30:00'), at('2026-11-20')];
    const of = (zone: string) => planRetention({ backups, retention: { ...UNSET, months: 2 }, now: NOW, zone }).remove;
    expect(of('UTC')).toEqual(['20261031223000']);
    expect(of('Europe/Berlin')).toEqual(['20261031233000']);
  });
});

describe('whatever the setting says', () => {
  it('nothing goes when nothing is set', () => {
    expect(plan([at('2001-01-01'), at('2002-01-01', { valid: false })], {}).remove).toEqual([]);
    expect(kept(plan([at('2001-01-01')], {}))).toEqual({ 20010101: 'no retention is set' });
  });

  it('the last valid backup stays', () => {
    const made = plan([at('2020-01-01'), at('2021-01-01'), at('2021-02-01', { valid: false })], { days: 7 });
    expect(kept(made)).toEqual({ 20210101: BASE });
    const weekly = plan([at('2020-01-01'), at('2021-01-01')], { weeks: 2 });
    expect(kept(weekly)).toEqual({ 20210101: 'last valid backup' });
  });

  it('retained ones stay, valid or not', () => {
    const made = plan(
      [at('2020-01-01', { keep: true }), at('2020-02-01', { keep: true, valid: false }), at('2026-11-20')],
      { days: 7 },
    );
    expect(kept(made)).toMatchObject({ 20200101: `retained; ${BASE}`, 20200201: 'retained' });
  });

  it('one that is being read stays', () => {
    const backups = [at('2020-01-01', { reader: 'a restore is reading it' }), at('2020-01-02'), at('2026-11-20')];
    const made = plan(backups, { days: 7 });
    expect(kept(made)).toMatchObject({ 20200101: 'a restore is reading it' });
  });

  it('damaged ones stand for no period, and go by days', () => {
    const backups = [
      at('2026-11-02'),
      at('2026-11-07', { valid: false }),
      at('2026-11-19', { valid: false }),
      at('2026-11-20'),
    ];
    const made = plan(backups, { days: 7, weeks: 4 });
    expect(kept(made)).toEqual({
      20261102: `newest of week 2026-W45; ${BASE}`,
      20261119: 'younger than 7 days',
      20261120: 'younger than 7 days; newest of week 2026-W47',
    });
    expect(reasonOf(made, '20261107')).toBe('not valid, and older than 7 days');
    expect(plan(backups, { weeks: 4 }).remove).toEqual(['20261107100000']);
  });

  it('a damaged one stays where there is nothing better', () => {
    const made = plan([at('2020-01-01', { valid: false }), at('2020-02-01', { valid: false })], { days: 7 });
    expect(made.remove).toEqual([]);
    expect(reasonOf(made, '20200101')).toContain('better than none');
  });
});

describe('chains', () => {
  const full = at('2026-10-01');
  const one = at('2026-10-02', { parent: full.label });
  const two = at('2026-10-03', { parent: one.label });
  const other = at('2026-10-04', { parent: one.label });
  const base = at('2026-10-05');
  const now = at('2026-11-20');

  it('stay whole for a kept one', () => {
    const made = plan([full, one, two, { ...other, keep: true }, base, now], { days: 7 });
    expect(kept(made)).toEqual({
      20261001: `child ${one.label} needs it`,
      20261002: `child ${other.label} needs it`,
      20261004: 'retained',
      20261005: BASE,
      20261120: 'younger than 7 days',
    });
    expect(kept(plan([full, one, two, now], { days: 7 }))).toMatchObject({
      20261001: `child ${one.label} needs it`,
      20261003: BASE,
    });
  });

  it('go from their ends', () => {
    const labels = [other, two, one, full].map(({ label }) => label);
    expect(plan([full, one, two, other, base, now], { days: 7 }).remove).toEqual(labels);
  });

  it('with a hole stand for no period', () => {
    const made = plan([at('2026-11-02'), one, at('2026-11-07', { parent: one.label }), now], { days: 7, weeks: 4 });
    expect(kept(made)).toEqual({
      20261102: `newest of week 2026-W45; ${BASE}`,
      20261120: 'younger than 7 days; newest of week 2026-W47',
    });
    expect(reasonOf(made, '20261107')).toBe(
      'a backup that it builds upon is missing or not valid, and older than 7 days',
    );
  });

  it('with a damaged link stand for no period, and its newest is not the last valid backup', () => {
    const made = plan([at('2020-01-01'), { ...full, valid: false }, one], { days: 7 });
    expect(kept(made)).toEqual({ 20200101: BASE });
    expect(made.remove).toEqual([one.label, full.label]);
  });

  it('that lead back to themselves are damage, not an endless loop', () => {
    const made = plan([{ ...full, parent: one.label }, one, now], { days: 7 });
    expect(made.remove.toSorted()).toEqual([full.label, one.label]);
  });
});

describe('docs/retention.md: one backup each night at 23:00, and now is 2026-11-21, noon', () => {
  const nightly = Array.from({ length: 1200 }, (_, n) =>
    at(new Date(Date.parse('2026-11-20T23:00:00Z') - n * 86_400_000).toISOString().slice(0, 19)),
  );
  const stay = (retention: object): string[] => Object.keys(kept(plan(nightly, retention)));
  const week = ['20261113', '20261114', '20261115', '20261116', '20261117', '20261118', '20261119', '20261120'];
  const months = (last: string[]): string[] => last.map((day) => day.replaceAll('-', ''));

  it('7', () => {
    expect(stay({ days: 7 })).toEqual(week);
  });

  it('7,4', () => {
    expect(stay({ days: 7, weeks: 4 })).toEqual(['20261101', '20261108', ...week]);
  });

  it('7,4,3', () => {
    expect(stay({ days: 7, weeks: 4, months: 3 })).toEqual(['20260930', '20261031', '20261101', '20261108', ...week]);
  });

  it('7,4,12,3', () => {
    const back = ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31', '2026-06-30', '2026-07-31'];
    const last = months(['2024-12-31', '2025-12-31', ...back, '2026-08-31', '2026-09-30', '2026-10-31']);
    const made = stay({ days: 7, weeks: 4, months: 12, years: 3 });
    expect(made).toEqual([...last, '20261101', '20261108', ...week]);
  });

  it('-,4,-,-', () => {
    expect(stay({ weeks: 4 })).toEqual(['20261101', '20261108', '20261115', '20261120']);
  });
});
