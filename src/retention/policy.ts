import type { Retention } from '../config/index.js';
import { Calendar, type PeriodKind } from './calendar.js';
import { type ChainLink, chainOf } from './chain.js';

/** A backup, as far as retention is concerned. */
export interface RetentionBackup extends ChainLink {
  /** When it was started. */
  readonly time: Date;
  /**
   * When it was complete, from where on it can be restored to any moment: its age counts from here, and from the start
   * where it is not known.
   */
  readonly end?: Date | undefined;
  readonly valid: boolean;
  /** Whether the operator retains it. */
  readonly keep: boolean;
  /** Who reads it now, in words: `a restore is reading it`; undefined when nobody does. */
  readonly reader?: string | undefined;
}

/** What a plan is made from. */
export interface RetentionInput {
  /** All backups of one server, in any order. */
  readonly backups: readonly RetentionBackup[];
  readonly retention: Retention;
  readonly now: Date;
  /** Whose clocks weeks, months and years follow: an IANA name. */
  readonly zone: string;
}

/** What becomes of one backup. */
export interface RetentionDecision {
  readonly label: string;
  readonly action: 'keep' | 'remove';
  /** Why, in words; at least one. */
  readonly reasons: readonly string[];
}

/** What becomes of the backups of a server. */
export interface RetentionPlan {
  /** By label, oldest first. */
  readonly decisions: readonly RetentionDecision[];
  /** Labels in the order in which they have to go: a child always before its parent. */
  readonly remove: readonly string[];
}

/** Days that a damaged backup is kept for those who want to look at it, when the setting names none. */
const DAYS_OF_DAMAGED = 7;
const DAY_MS = 86_400_000;

/**
 * Decides which backups may go. Kept are: those younger than `days` days, and the newest older one, which a restore to
 * the first of these days begins with; the newest of each of the last `weeks` ISO weeks, `months` months and `years`
 * years, the current one included; retained ones; those that somebody reads; the newest; and every ancestor of a kept
 * one. Only backups that can be restored (valid, and so is their whole chain) stand for a period. Pure: the same input
 * gives the same plan.
 */
export function planRetention(input: RetentionInput): RetentionPlan {
  const backups = input.backups.toSorted((left, right) => compare(left.label, right.label));
  const byLabel = new Map(backups.map((backup) => [backup.label, backup]));
  const usable = backups.filter((backup) => {
    const { links, missing } = chainOf(backup, byLabel);
    return missing === undefined && links.every(({ valid }) => valid);
  });
  const kept = reasonsToKeep(input, backups, usable);
  keepAncestors(backups, byLabel, kept);
  const usableLabels = new Set(usable.map(({ label }) => label));
  const decisions = backups.map((backup): RetentionDecision => {
    const reasons = kept.get(backup.label) ?? [];
    if (reasons.length > 0) return { label: backup.label, action: 'keep', reasons };
    const why = expiry(input.retention, backup, usableLabels.has(backup.label));
    return { label: backup.label, action: 'remove', reasons: [why] };
  });
  return { decisions, remove: removalOrder(decisions, byLabel) };
}

/** In milliseconds; below 0 for one of the future. */
function ageOf({ time, end }: RetentionBackup, now: Date): number {
  return now.getTime() - (end ?? time).getTime();
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** For every backup why it stays by itself, ancestors aside. */
function reasonsToKeep(
  input: RetentionInput,
  backups: readonly RetentionBackup[],
  usable: readonly RetentionBackup[],
): Map<string, string[]> {
  const reasons = new Map<string, string[]>(backups.map(({ label }) => [label, []]));
  const keep = (label: string, why: string): unknown => reasons.get(label)?.push(why);
  const { retention } = input;
  const named = new Set(usable.map(({ label }) => label));
  if (Object.values(retention).every((count) => count === null)) {
    for (const { label } of backups) keep(label, 'no retention is set');
    return reasons;
  }
  for (const backup of backups) {
    const age = ageOf(backup, input.now);
    const days = named.has(backup.label) ? retention.days : (retention.days ?? DAYS_OF_DAMAGED);
    if (backup.keep) keep(backup.label, 'retained');
    if (backup.reader !== undefined) keep(backup.label, backup.reader);
    if (age < 0) keep(backup.label, 'newer than the clock of this host');
    else if (days !== null && age < days * DAY_MS) keep(backup.label, `younger than ${count(days, 'day')}`);
    if (usable.length === 0) keep(backup.label, 'there is no valid backup, and a damaged one is better than none');
  }
  for (const [label, why] of newestOfPeriods(input, usable)) keep(label, why);
  const base = baseOfDays(input, usable);
  if (base !== undefined) keep(base.label, `restores to the last ${count(retention.days ?? 0, 'day')} begin with it`);
  const newest = usable.at(-1);
  if (newest !== undefined && reasons.get(newest.label)?.length === 0) keep(newest.label, 'last valid backup');
  return reasons;
}

/**
 * What a restore to the first moments of the promised days begins with: the newest backup that is older than they are.
 * Without it backups taken every week would leave nothing to restore the days before the last one from.
 */
function baseOfDays({ retention: { days }, now }: RetentionInput, usable: readonly RetentionBackup[]) {
  if (days === null) return undefined;
  return usable.findLast((backup) => ageOf(backup, now) >= days * DAY_MS);
}

/** The newest backup of each period that has one, of those periods that the setting asks for. */
function* newestOfPeriods(
  { retention, now, zone }: RetentionInput,
  usable: readonly RetentionBackup[],
): Generator<[label: string, why: string]> {
  const calendar = new Calendar(zone);
  const counts: [PeriodKind, number | null][] = [
    ['week', retention.weeks],
    ['month', retention.months],
    ['year', retention.years],
  ];
  for (const [kind, wanted] of counts) {
    if (wanted === null) continue;
    const current = calendar.period(kind, now).number;
    const taken = new Set<number>();
    for (const { label, time } of usable.toReversed()) {
      const { number, name } = calendar.period(kind, time);
      if (taken.has(number) || number > current || number <= current - wanted) continue;
      taken.add(number);
      yield [label, `newest of ${kind} ${name}`];
    }
  }
}

/** A backup is worth nothing without those that it builds upon. */
function keepAncestors(
  backups: readonly RetentionBackup[],
  byLabel: ReadonlyMap<string, RetentionBackup>,
  kept: Map<string, string[]>,
): void {
  // Those that stay by themselves: what is added below is an ancestor of one of them already.
  const roots = backups.filter(({ label }) => (kept.get(label)?.length ?? 0) > 0);
  for (const root of roots.toReversed()) {
    let child = root;
    for (const ancestor of chainOf(root, byLabel).links.slice(1)) {
      const reasons = kept.get(ancestor.label);
      if (reasons?.length === 0) reasons.push(`child ${child.label} needs it`);
      child = ancestor;
    }
  }
}

/** Why a backup goes that nothing keeps. */
function expiry({ days, weeks, months, years }: Retention, { valid }: RetentionBackup, usable: boolean): string {
  if (!usable) {
    const what = valid ? 'a backup that it builds upon is missing or not valid' : 'not valid';
    return `${what}, and older than ${count(days ?? DAYS_OF_DAMAGED, 'day')}`;
  }
  const kinds = [weeks === null ? [] : 'week', months === null ? [] : 'month', years === null ? [] : 'year'].flat();
  const parts = [
    ...(days === null ? [] : [`older than ${count(days, 'day')}`]),
    ...(kinds.length === 0 ? [] : [`newest of no ${listed(kinds)} that keeps one`]),
  ];
  return parts.join(' and ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Newest first; where labels and parents disagree, parents count. */
function removalOrder(
  decisions: readonly RetentionDecision[],
  byLabel: ReadonlyMap<string, RetentionBackup>,
): string[] {
  const depth = (label: string): number => {
    const backup = byLabel.get(label);
    return backup === undefined ? 0 : chainOf(backup, byLabel).links.length;
  };
  return decisions
    .filter(({ action }) => action === 'remove')
    .map(({ label }) => ({ label, depth: depth(label) }))
    .sort((left, right) => right.depth - left.depth || compare(right.label, left.label))
    .map(({ label }) => label);
}
