import { describe, expect, it } from 'vitest';
import { planRetention, type RetentionBackup, type RetentionPlan } from '../../../src/retention/policy.js';
import { seeded } from '../../support/random.mjs';

/** Random histories of backups, and what has to hold for every one of them. */

const HISTORIES = Number(process.env.PGMONETA_TEST_HISTORIES ?? 1000);
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Kiritimati',
];
/** Around the ends of years, of years with 53 weeks, and of summer time. */
const MOMENTS = [
  '2026-11-21',
  '2027-01-01',
  '2021-01-02',
  '2027-01-04',
  '2026-03-29',
  '2026-10-25',
  '2024-02-29',
  '2011-12-30',
];
const HOUR = 3_600_000;

interface History {
  readonly backups: RetentionBackup[];
  readonly retention: { days: number | null; weeks: number | null; months: number | null; years: number | null };
  readonly now: Date;
  readonly zone: string;
}

const random = seeded('retention');
const chance = (probability: number): boolean => random() < probability;
const upTo = (limit: number): number => Math.floor(random() * limit);
const pick = <T>(values: readonly T[]): T => values[upTo(values.length)] as T;

function history(): History {
  const now = new Date(Date.parse(`${pick(MOMENTS)}T00:00:00Z`) + upTo(48 * 3600) * 1000);
  const step = pick([1, 6, 24, 7 * 24, 31 * 24]) * HOUR;
  let moment = now.getTime() + (chance(0.1) ? 3 * HOUR : -upTo(40 * 24) * HOUR);
  const times: number[] = [];
  for (let n = upTo(60); n > 0; n--) {
    times.unshift(moment);
    moment -= 1000 + Math.floor(random() * 2 * step);
  }
  const broken = pick([0, 0.1, 0.5]);
  const incremental = pick([0, 0.7, 0.95]);
  const backups: RetentionBackup[] = [];
  for (const time of times) {
    const label = new Date(time).toISOString().replace(/\D/g, '').slice(0, 14);
    const parent = chance(incremental) && backups.length > 0 ? parentAmong(backups) : undefined;
    const reader = chance(0.02) ? 'a restore is reading it' : undefined;
    const end = chance(0.5) ? undefined : new Date(time + 1000 * upTo(5 * 3600));
    backups.push({ label, time: new Date(time), end, valid: !chance(broken), keep: chance(0.05), parent, reader });
  }
  const field = (limit: number): number | null => (chance(0.4) ? null : 1 + upTo(limit));
  const retention = { days: field(40), weeks: field(6), months: field(14), years: field(4) };
  return { backups, retention, now, zone: pick(ZONES) };
}

/** Mostly the one before, sometimes an older one, and now and then one that is not there. */
function parentAmong(backups: readonly RetentionBackup[]): string {
  if (chance(0.02)) return '19990101000000';
  return chance(0.9) ? (backups.at(-1) as RetentionBackup).label : pick(backups).label;
}

const remaining = ({ backups }: History, { remove }: RetentionPlan): RetentionBackup[] =>
  backups.filter(({ label }) => !remove.includes(label));

/** Whether the backup and all that it builds upon are there and valid: written anew, not that of the policy. */
function restorable(label: string | undefined, backups: readonly RetentionBackup[]): boolean {
  const found = backups.find((backup) => backup.label === label);
  if (found === undefined || !found.valid) return false;
  return found.parent === undefined || restorable(found.parent, backups);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Calendar day of a moment in a zone, in a way that the policy does not use. */
function day(moment: Date, zone: string): string {
  const format = formats.get(zone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' });
  formats.set(zone, format);
  return format.format(moment);
}

function monday(date: string): string {
  const noon = new Date(`${date}T12:00:00Z`);
  return new Date(noon.getTime() - ((noon.getUTCDay() + 6) % 7) * 24 * HOUR).toISOString().slice(0, 10);
}

/** The periods that a setting promises, by the text that names one: first the current one, then back in time. */
function promised({ retention, now, zone }: History): { of: (date: string) => string; names: Set<string> }[] {
  const today = day(now, zone);
  const back = (count: number | null, of: (date: string) => string, before: (name: string) => string) => {
    const names = new Set<string>();
    for (let n = 0, name = of(today); n < (count ?? 0); n++, name = before(name)) names.add(name);
    return { of, names };
  };
  const dayBefore = (date: string): string =>
    new Date(Date.parse(`${date}T12:00:00Z`) - 24 * HOUR).toISOString().slice(0, 10);
  const month = (date: string): string => date.slice(0, 7);
  const year = (date: string): string => date.slice(0, 4);
  return [
    back(retention.weeks, monday, (name) => monday(dayBefore(name))),
    back(retention.months, month, (name) => month(dayBefore(`${name}-01`))),
    back(retention.years, year, (name) => year(dayBefore(`${name}-01-01`))),
  ];
}

/** From when on a backup can be restored to any moment. */
const complete = ({ time, end }: RetentionBackup): number => (end ?? time).getTime();

/** The newest backup of each period. */
function newestOf(
  { zone }: History,
  backups: readonly RetentionBackup[],
  of: (date: string) => string,
): Map<string, RetentionBackup> {
  return new Map(backups.map((backup) => [of(day(backup.time, zone)), backup]));
}

describe(`${HISTORIES} random histories`, () => {
  const histories = Array.from({ length: HISTORIES }, history);
  const plans = histories.map((one) => planRetention(one));
  const each = (check: (history: History, plan: RetentionPlan) => void) => (): void => {
    histories.forEach((one, n) => {
      check(one, plans[n] as RetentionPlan);
    });
  };

  it('something goes in many of them, and something stays', () => {
    expect(plans.filter(({ remove }) => remove.length > 0).length).toBeGreaterThan(HISTORIES / 5);
    expect(plans.filter((made) => made.decisions.some(({ action }) => action === 'keep')).length).toBeGreaterThan(
      HISTORIES / 2,
    );
  });

  it(
    'every backup is decided upon once, with a reason',
    each(({ backups }, made) => {
      expect(made.decisions.map(({ label }) => label)).toEqual(backups.map(({ label }) => label));
      for (const { reasons } of made.decisions) expect(reasons.join('')).not.toBe('');
      const leaving = made.decisions.filter(({ action }) => action === 'remove').map(({ label }) => label);
      expect(made.remove.toSorted()).toEqual(leaving);
    }),
  );

  it(
    'what stays and could be restored still can be',
    each((one, made) => {
      const left = remaining(one, made);
      for (const { label } of left)
        if (restorable(label, one.backups)) expect(restorable(label, left), label).toBe(true);
    }),
  );

  it(
    'no backup ever stands without its parent, whenever the work is cut off',
    each((one, made) => {
      let left = one.backups;
      for (const label of made.remove) {
        expect(left.filter(({ parent }) => parent === label)).toEqual([]);
        left = left.filter((backup) => backup.label !== label);
      }
    }),
  );

  it(
    'retained ones and those that are read stay',
    each((one, made) => {
      for (const { label, keep, reader } of one.backups) {
        if (keep || reader !== undefined) expect(made.remove).not.toContain(label);
      }
    }),
  );

  it(
    'the newest that can be restored stays',
    each((one, made) => {
      const newest = one.backups.findLast(({ label }) => restorable(label, one.backups));
      if (newest !== undefined) expect(made.remove).not.toContain(newest.label);
      else expect(made.remove).toEqual([]);
    }),
  );

  it(
    'days keep what is younger',
    each((one, made) => {
      const { days } = one.retention;
      for (const backup of one.backups) {
        if (days !== null && one.now.getTime() - complete(backup) < days * 24 * HOUR)
          expect(made.remove).not.toContain(backup.label);
      }
    }),
  );

  it(
    'every moment of the days can be restored to, as far as backups ever allowed it',
    each((one, made) => {
      const { days } = one.retention;
      if (days === null) return;
      const left = remaining(one, made);
      const bases = (backups: readonly RetentionBackup[], moment: number) =>
        backups.some((backup) => complete(backup) <= moment && restorable(backup.label, backups));
      for (let n = 0; n <= 10; n++) {
        const moment = one.now.getTime() - (days * 24 * HOUR * n) / 10;
        if (bases(one.backups, moment)) expect(bases(left, moment)).toBe(true);
      }
    }),
  );

  it(
    'every promised period that has a restorable backup keeps its newest',
    each((one, made) => {
      const usable = one.backups.filter(({ label }) => restorable(label, one.backups));
      for (const { of, names } of promised(one)) {
        const newest = newestOf(one, usable, of);
        for (const name of names) {
          const label = newest.get(name)?.label;
          if (label !== undefined) expect(made.remove, `${name} in ${one.zone}`).not.toContain(label);
        }
      }
    }),
  );

  it(
    'nothing stays without a promise',
    each((one, made) => {
      const usable = one.backups.filter(({ label }) => restorable(label, one.backups));
      if (usable.length === 0 || Object.values(one.retention).every((count) => count === null)) return;
      const cutoff = one.now.getTime() - (one.retention.days ?? Number.POSITIVE_INFINITY) * 24 * HOUR;
      const standing = new Set([usable.at(-1), usable.filter((backup) => complete(backup) <= cutoff).at(-1)]);
      for (const { of, names } of promised(one)) {
        for (const [name, backup] of newestOf(one, usable, of)) if (names.has(name)) standing.add(backup);
      }
      const needed = new Set<string>();
      for (const backup of one.backups.toReversed()) {
        const age = one.now.getTime() - complete(backup);
        const days = one.retention.days ?? (usable.includes(backup) ? 0 : 7);
        const held = backup.keep || backup.reader !== undefined || standing.has(backup);
        const stays = held || age < days * 24 * HOUR || age < 0 || needed.has(backup.label);
        if (stays && backup.parent !== undefined) needed.add(backup.parent);
        expect(made.remove.includes(backup.label), backup.label).toBe(!stays);
      }
    }),
  );

  it(
    'carried out and made again it removes nothing more',
    each((one, made) => {
      expect(planRetention({ ...one, backups: remaining(one, made) }).remove).toEqual([]);
    }),
  );

  it(
    'carried out in part and made again it comes to the same',
    each((one, made) => {
      const half = made.remove.slice(0, upTo(made.remove.length + 1));
      const left = one.backups.filter(({ label }) => !half.includes(label));
      expect(planRetention({ ...one, backups: left }).remove).toEqual(made.remove.slice(half.length));
    }),
  );

  it(
    'later nothing stays that would have gone before',
    each((one, made) => {
      const later = planRetention({ ...one, now: new Date(one.now.getTime() + upTo(800 * 24) * HOUR) });
      for (const label of made.remove) expect(later.remove).toContain(label);
    }),
  );

  it(
    'the order in which backups are named does not matter',
    each((one, made) => {
      expect(planRetention({ ...one, backups: one.backups.toReversed() })).toEqual(made);
    }),
  );
});
