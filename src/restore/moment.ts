import { PgmonetaError } from '../errors/index.js';

/** A moment that recovery is to go to. */
export interface Moment {
  /** In UTC, as PostgreSQL reads it whatever its settings: `2026-01-31 13:45:00.25+00`. */
  readonly text: string;
  /** Since 1970-01-01 00:00 UTC, in microseconds. */
  readonly micros: number;
}

const FORM = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?[ ]?(|[A-Za-z+-][\w:/+-]*)$/;
const OFFSET = /^([+-])(\d{2})(?::?(\d{2}))?(?::?(\d{2}))?$/;
const DAY = 86_400_000;
const HINT =
  "write it as '2026-01-31 13:45:00.250+01', or with a zone such as UTC or Europe/Berlin; without a zone it is the local time of the daemon";

function refuse(text: string, why: string, hint = HINT): never {
  throw new PgmonetaError('RESTORE_ERROR', `'time=${text}' ${why}`, { hint });
}

/** Milliseconds by which the clocks of a zone are ahead of UTC at a moment; the local zone for undefined. */
function offsetAt(moment: number, zone: string | undefined): number {
  if (zone === undefined) return -new Date(moment).getTimezoneOffset() * 60_000;
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(moment);
  const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second')) - moment;
}

/** The moment at which the clocks of a zone show `wall` (a time as if it were UTC): one, or it is refused. */
function inZone(text: string, wall: number, zone: string | undefined): number {
  const found = new Set<number>();
  for (const around of [wall - DAY, wall + DAY]) {
    const moment = wall - offsetAt(around, zone);
    if (offsetAt(moment, zone) === wall - moment) found.add(moment);
  }
  const name = zone ?? 'the zone of the daemon';
  const [moment, other] = [...found];
  if (moment === undefined) refuse(text, `does not exist in ${name}: the clocks were put forward over it`);
  if (other === undefined) return moment;
  return refuse(
    text,
    `exists twice in ${name}: the clocks were put back`,
    `add the offset from UTC: ${[...found].map((one) => formatMoment(one, '')).join(' or ')}`,
  );
}

function zoned(text: string, wall: number, zone: string): number {
  if (zone === '') return inZone(text, wall, undefined);
  if (/^(Z|UTC|GMT)$/i.test(zone)) return wall;
  const [, sign, hours, minutes = '0', seconds = '0'] = OFFSET.exec(zone) ?? [];
  if (sign !== undefined) {
    if (Number(hours) > 15 || Number(minutes) > 59 || Number(seconds) > 59) refuse(text, 'has no such offset from UTC');
    const offset = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
    return sign === '-' ? wall + offset : wall - offset;
  }
  // Abbreviations mean different offsets in different places (IST, CST): only names of places are unambiguous.
  if (!zone.includes('/')) refuse(text, `has the zone '${zone}', which is not unambiguous`);
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
  } catch {
    refuse(text, `has the zone '${zone}', which is not known`);
  }
  return inZone(text, wall, zone);
}

function formatMoment(milliseconds: number, fraction: string): string {
  const seconds = new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ');
  const digits = fraction.replace(/0+$/, '');
  return `${seconds}${digits === '' ? '' : `.${digits}`}+00`;
}

/**
 * Reads a date with a time (midnight when there is none), up to six digits of a second, and a zone: `Z`, `UTC`, an
 * offset from UTC, or a name such as `Europe/Berlin`; without one it is the local time of this process.
 * @throws PgmonetaError RESTORE_ERROR when it is no time, or not exactly one moment
 */
export function parseMoment(text: string): Moment {
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] =
    FORM.exec(text) ?? [];
  if (year === undefined) refuse(text, 'is not a time');
  const wall = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const shown = Number.isNaN(wall) ? '' : new Date(wall).toISOString().slice(0, 19);
  if (shown !== `${year}-${month}-${day}T${hour}:${minute}:${second}`) refuse(text, 'is no time that a clock shows');
  const moment = zoned(text, wall, zone);
  return { text: formatMoment(moment, fraction), micros: moment * 1000 + Number(fraction.padEnd(6, '0')) };
}

/** Microseconds since 1970 in the form that `time=` takes. */
export function momentText(micros: number): string {
  const seconds = Math.floor(micros / 1e6);
  return formatMoment(seconds * 1000, String(micros - seconds * 1e6).padStart(6, '0'));
}
