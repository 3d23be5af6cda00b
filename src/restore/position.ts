import { PgmonetaError } from '../errors/index.js';
import { hasControlCharacter } from './control-characters.js';
import { parseMoment } from './moment.js';

/** Where recovery is to end. */
export type RecoveryTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'current' }
  | { readonly kind: 'immediate' }
  /** `value` as PostgreSQL reads it without doubt: xid in decimal, 32 bits. */
  | { readonly kind: 'name' | 'xid' | 'lsn'; readonly value: string }
  /** `value`: an absolute time; `micros`: the same since 1970, in microseconds. */
  | { readonly kind: 'time'; readonly value: string; readonly micros: number };

/** What the restored cluster is to become. */
export type RestoredRole = 'primary' | 'replica';

/** A parsed `<position>` of the `restore` command. */
export interface Position {
  readonly target: RecoveryTarget;
  readonly role: RestoredRole;
  readonly inclusive: boolean | undefined;
  /** Number in decimal, `latest` or `current`. */
  readonly timeline: string | undefined;
  readonly action: 'pause' | 'promote' | 'shutdown' | undefined;
}

const GRAMMAR =
  'a comma separated list of: current, immediate, name=, xid=, lsn=, time=, inclusive=, timeline=, action=, primary, replica';

const TARGETS = ['current', 'immediate', 'name', 'xid', 'lsn', 'time'] as const;

type TargetKey = (typeof TARGETS)[number];

function isTarget(key: string): key is TargetKey {
  return (TARGETS as readonly string[]).includes(key);
}

/** No position that makes sense is longer. */
const LIMIT = 4096;

function refuse(message: string): never {
  throw new PgmonetaError('RESTORE_ERROR', message, { hint: `the position is ${GRAMMAR}` });
}

/**
 * Parses a position. Every token is known or refused, a target is given once, values are checked.
 * @throws PgmonetaError RESTORE_ERROR, or RESTORE_NOBACKUP for more than one target as 0.21 numbers it
 */
export function parsePosition(text: string | null | undefined): Position {
  let target: RecoveryTarget = { kind: 'none' };
  let role: RestoredRole = 'primary';
  let inclusive: boolean | undefined;
  let timeline: string | undefined;
  let action: Position['action'];
  if (text !== null && text !== undefined && text !== '') {
    if (text.length > LIMIT) refuse(`the position is longer than ${LIMIT} characters`);
    for (const item of text.split(',')) {
      const equals = item.indexOf('=');
      const key = equals < 0 ? item : item.slice(0, equals);
      const value = equals < 0 ? undefined : item.slice(equals + 1);
      if (isTarget(key)) {
        if (target.kind !== 'none') {
          throw new PgmonetaError(
            'RESTORE_NOBACKUP',
            `the position '${text}' has two targets: ${target.kind} and ${key}`,
            {
              hint: 'give one of current, immediate, name=, xid=, lsn=, time=',
            },
          );
        }
        target = parseTarget(key, value);
      } else if (key === 'primary' || key === 'replica') role = key;
      else if (key === 'inclusive') inclusive = parseSwitch(value);
      else if (key === 'timeline') timeline = parseTimeline(value);
      else if (key === 'action') action = parseAction(value);
      else refuse(`'${item}' in the position '${text}' is not known`);
    }
  }
  return { target, role, inclusive, timeline, action };
}

function parseTarget(key: TargetKey, value: string | undefined): RecoveryTarget {
  if (key === 'current' || key === 'immediate') {
    if (value !== undefined) refuse(`'${key}' takes no value`);
    return { kind: key };
  }
  if (value === undefined || value === '') refuse(`'${key}=' needs a value`);
  if (hasControlCharacter(value)) refuse(`the value of '${key}=' contains a control character`);
  if (key === 'time') {
    const { text, micros } = parseMoment(value);
    return { kind: key, value: text, micros };
  }
  return { kind: key, value: key === 'name' ? checkName(value) : key === 'xid' ? parseXid(value) : parseLsn(value) };
}

function checkName(value: string): string {
  if (Buffer.byteLength(value) > 63) refuse(`'name=${value}' is longer than 63 bytes`);
  return value;
}

/** Full 64-bit ids (`pg_current_xact_id()`) are taken too: the WAL knows their lower half, PostgreSQL compares that. */
function parseXid(value: string): string {
  if (!/^\d{1,20}$/.test(value) || BigInt(value) >= 1n << 64n) refuse(`'xid=${value}' is not a transaction id`);
  const xid = BigInt(value) & 0xffff_ffffn;
  if (xid < 3n) refuse(`'xid=${value}' is not the id of a transaction that can commit`);
  return String(xid);
}

function parseLsn(value: string): string {
  if (!/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(value)) refuse(`'lsn=${value}' is not an LSN such as 0/2000028`);
  return value
    .split('/')
    .map((half) => Number.parseInt(half, 16).toString(16).toUpperCase())
    .join('/');
}

function parseSwitch(value: string | undefined): boolean {
  const word = (value ?? 'on').toLowerCase();
  if (['on', 'true', 'yes', '1'].includes(word)) return true;
  if (['off', 'false', 'no', '0'].includes(word)) return false;
  return refuse(`'inclusive=${value}' is neither on nor off`);
}

function parseTimeline(value: string | undefined): string {
  const word = value ?? 'latest';
  if (word === 'latest' || word === 'current') return word;
  const number = Number(word);
  if (!/^(\d{1,10}|0x[0-9A-Fa-f]{1,8})$/.test(word) || number < 1 || number > 0xffff_ffff) {
    refuse(`'timeline=${word}' is neither latest, current nor a number`);
  }
  return String(number);
}

function parseAction(value: string | undefined): 'pause' | 'promote' | 'shutdown' {
  const word = value ?? 'pause';
  if (word === 'pause' || word === 'promote' || word === 'shutdown') return word;
  return refuse(`'action=${word}' is none of pause, promote, shutdown`);
}
