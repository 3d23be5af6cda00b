/** Periods of the calendar that keep a backup of their own. */
export type PeriodKind = 'week' | 'month' | 'year';

/** The periods that a moment lies in. */
export interface Period {
  /** Number of the period: that of the one after it is one higher. */
  readonly number: number;
  /** For people: `2026-W46`, `2026-11`, `2026`. */
  readonly name: string;
}

/** The calendar day of a moment. */
interface Day {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** Days since 1970-01-01. */
  readonly number: number;
}

const DAY_MS = 86_400_000;

/** Cuts time into weeks (ISO 8601: Monday to Sunday), months and years, as the clocks of one time zone show it. */
export class Calendar {
  readonly #format: Intl.DateTimeFormat;

  /**
   * @param zone IANA name, such as `Europe/Berlin`
   * @throws RangeError when there is no such zone
   */
  constructor(zone: string) {
    // The Gregorian calendar and Latin digits, whatever the locale of the process.
    const options = { timeZone: zone, year: 'numeric', month: 'numeric', day: 'numeric' } as const;
    this.#format = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', options);
  }

  /** The week, month or year that a moment lies in. */
  period(kind: PeriodKind, moment: Date): Period {
    const day = this.#day(moment);
    if (kind === 'year') return { number: day.year, name: String(day.year) };
    if (kind === 'month') {
      return { number: day.year * 12 + day.month - 1, name: `${day.year}-${String(day.month).padStart(2, '0')}` };
    }
    return weekOf(day);
  }

  #day(moment: Date): Day {
    const parts = Object.fromEntries(this.#format.formatToParts(moment).map(({ type, value }) => [type, value]));
    const year = Number(parts.year);
    const month = Number(parts.month);
    return { year, month, number: Date.UTC(year, month - 1, Number(parts.day)) / DAY_MS };
  }
}

/** A week belongs to the year that its Thursday lies in, and 1970-01-01 was one. */
function weekOf({ number }: Day): Period {
  const week = Math.floor((number + 3) / 7);
  const thursday = week * 7;
  const year = new Date(thursday * DAY_MS).getUTCFullYear();
  const inYear = Math.floor((thursday - Date.UTC(year, 0, 1) / DAY_MS) / 7) + 1;
  return { number: week, name: `${year}-W${String(inYear).padStart(2, '0')}` };
}
