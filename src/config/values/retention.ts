import { type RawValue, ValueError, type ValueType } from './value-type.js';

/** How long backups are kept; `null` is unset. Counts of days, weeks, months and years, each at least 1. */
export interface Retention {
  readonly days: number | null;
  readonly weeks: number | null;
  readonly months: number | null;
  readonly years: number | null;
}

/** Nothing set: a server takes every field from the main section. */
export const NO_RETENTION: Retention = { days: null, weeks: null, months: null, years: null };

const FIELDS = ['days', 'weeks', 'months', 'years'] as const;
const UNSET = new Set(['', '-', 'x', 'X', '0']);

function parseRetention(raw: RawValue): Retention {
  const parts = typeof raw === 'object' ? raw.map(String) : String(raw).split(',');
  if (parts.length > FIELDS.length) throw new ValueError('there are more than four fields');
  const values = FIELDS.map((field, index) => {
    const part = (parts[index] ?? '').trim();
    if (UNSET.has(part)) return null;
    if (!/^[0-9]{1,6}$/.test(part)) throw new ValueError(`"${part}" is not a number of ${field}`);
    return Number(part) || null;
  });
  const [days = null, weeks = null, months = null, years = null] = values;
  return { days, weeks, months, years };
}

/** What is wrong with a policy, or `null`: weeks stop at 4 where months go on, months at 12 where years do. */
export function retentionProblem(retention: Retention): string | null {
  if (retention.months !== null && (retention.weeks ?? 0) > 4) return 'with months set, weeks cannot be above 4';
  if (retention.years !== null && (retention.months ?? 0) > 12) return 'with years set, months cannot be above 12';
  return null;
}

/** `days,weeks,months,years`; `-`, `x`, `0` or nothing leaves a field unset. */
export const retention: ValueType<Retention> = {
  name: 'retention',
  allowed:
    'days[,weeks[,months[,years]]], each a number or - for unset; weeks 1 to 4 with months, months 1 to 12 with years',
  read(raw) {
    const value = parseRetention(raw);
    const problem = retentionProblem(value);
    if (problem !== null) throw new ValueError(problem);
    return value;
  },
  write: (value) => FIELDS.map((field) => value[field] ?? '-').join(','),
  document: (value) => FIELDS.map((field) => value[field] ?? '-').join(','),
};
