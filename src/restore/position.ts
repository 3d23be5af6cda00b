import { PgmonetaError } from '../errors/index.js';
import { hasControlCharacter } from './control-characters.js';

/** Where recovery is to end. */
export type RecoveryTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'current' }
  | { readonly kind: 'immediate' }
  | { readonly kind: 'name' | 'xid' | 'lsn' | 'time'; readonly value: string };

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
      const named = parseTarget(key, value);
      if (named !== undefined) {
        if (target.kind !== 'none') {
          throw new PgmonetaError(
            'RESTORE_NOBACKUP',
            `the position '${text}' has two targets: ${target.kind} and ${key}`,
            {
              hint: 'give one of current, immediate, name=, xid=, lsn=, time=',
            },
          );
        }
        target = named;
      } else if (key === 'primary' || key === 'replica') role = key;
      else if (key === 'inclusive') inclusive = parseSwitch(value);
      else if (key === 'timeline') timeline = parseTimeline(value);
      else if (key === 'action') action = parseAction(value);
      else refuse(`'${item}' in the position '${text}' is not known`);
    }
  }
  return { target, role, inclusive, timeline, action };
}

function parseTarget(key: string, value: string | undefined): RecoveryTarget | undefined {
  if (key === 'current' || key === 'immediate') {
    if (value !== undefined) refuse(`'${key}' takes no value`);
    return { kind: key };
  }
  if (key !== 'name' && key !== 'xid' && key !== 'lsn' && key !== 'time') return undefined;
  if (value === undefined || value === '') refuse(`'${key}=' needs a value`);
  if (hasControlCharacter(value)) refuse(`the value of '${key}=' contains a control character`);
  if (key === 'name' && Buffer.byteLength(value) > 63) refuse(`'name=${value}' is longer than 63 bytes`);
  if (key === 'xid' && !/^\d{1,20}$/.test(value)) refuse(`'xid=${value}' is not a transaction id`);
  if (key === 'lsn' && !/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(value))
    refuse(`'lsn=${value}' is not an LSN such as 0/2000028`);
  if (key === 'time' && !/^\d{4}-\d{2}-\d{2}/.test(value))
    refuse(`'time=${value}' is not a time such as 2026-01-31 13:45:00+00`);
  return { kind: key, value };
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
