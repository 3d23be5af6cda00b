/** How a log line looks: `<prefix> LEVEL message key=value ...`, one line each, made for reading and for grep. */

/** pino's number for a level to the word in the log. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [10, 'DEBUG'],
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
  [60, 'FATAL'],
]);

const RESERVED = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

/** The conversions of `log_line_prefix` and `log_path` (strftime's, local time). */
export function strftime(format: string, moment: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const conversions: Record<string, () => string> = {
    Y: () => String(moment.getFullYear()),
    y: () => two(moment.getFullYear() % 100),
    m: () => two(moment.getMonth() + 1),
    d: () => two(moment.getDate()),
    e: () => String(moment.getDate()).padStart(2, ' '),
    H: () => two(moment.getHours()),
    M: () => two(moment.getMinutes()),
    S: () => two(moment.getSeconds()),
    j: () =>
      String(Math.floor((moment.getTime() - new Date(moment.getFullYear(), 0, 0).getTime()) / 86_400_000)).padStart(
        3,
        '0',
      ),
    s: () => String(Math.floor(moment.getTime() / 1000)),
    F: () => strftime('%Y-%m-%d', moment),
    T: () => strftime('%H:%M:%S', moment),
    z: () => zone(moment),
    Z: () => zone(moment),
    a: () => moment.toLocaleDateString('en-US', { weekday: 'short' }),
    b: () => moment.toLocaleDateString('en-US', { month: 'short' }),
    '%': () => '%',
  };
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) => conversions[letter]?.() ?? whole);
}

function zone(moment: Date): string {
  const minutes = -moment.getTimezoneOffset();
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`;
}

/** Turns one of pino's JSON records into the line for people. */
export function formatRecord(record: Record<string, unknown>, prefix: string): string {
  const moment = new Date(typeof record.time === 'number' ? record.time : Date.now());
  const word = WORDS.get(Number(record.level)) ?? 'INFO';
  const fields = Object.entries(record)
    .filter(([key]) => !RESERVED.has(key))
    .map(([key, value]) => ` ${key}=${fieldText(value)}`)
    .join('');
  const message = String(record.msg ?? '').replace(/\r?\n/g, '\n    ');
  return `${strftime(prefix, moment)} ${word.padEnd(5)} ${message}${fields}\n`;
}

function fieldText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}
