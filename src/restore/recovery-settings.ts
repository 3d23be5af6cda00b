import { PgmonetaError } from '../errors/index.js';
import { hasControlCharacter } from './control-characters.js';
import type { Position } from './position.js';

/** What a restored data directory needs so that PostgreSQL recovers to the wanted point. */
export interface RecoverySettings {
  /** Parameter and value, in the order in which they are written; empty when nothing is to be written. */
  readonly parameters: readonly (readonly [string, string])[];
  /** Signal file to create in the data directory. */
  readonly signal: 'recovery.signal' | 'standby.signal' | undefined;
}

/** How a standby made by a restore finds its primary. */
export interface PrimaryConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly applicationName: string;
}

/** Parameters that a restore decides; whatever the source had set of them is taken out. */
const OWNED = [
  'recovery_target',
  'recovery_target_name',
  'recovery_target_xid',
  'recovery_target_lsn',
  'recovery_target_time',
  'recovery_target_inclusive',
  'recovery_target_timeline',
  'recovery_target_action',
  'restore_command',
  'primary_conninfo',
  'primary_slot_name',
  'archive_cleanup_command',
  'recovery_end_command',
  'standby_mode',
  'trigger_file',
  'promote_trigger_file',
] as const;

/** Of those, the ones that may also stand in postgresql.conf and have to be cleared there by an override. */
const TARGETS = OWNED.slice(0, 5);

/** What recovery does at its end: `promote` for a primary unless the user says otherwise, `pause` for a replica. */
export function actionOf({ target, role, action }: Position): 'pause' | 'promote' | 'shutdown' {
  const hasEnd = target.kind !== 'none' && target.kind !== 'current';
  return action ?? (role === 'replica' && hasEnd ? 'pause' : 'promote');
}

/** The timeline that recovery follows. */
export function timelineOf({ target, timeline }: Position): string {
  return timeline ?? (target.kind === 'immediate' ? 'current' : 'latest');
}

/** All WAL that recovery needs lies in `pg_wal`; but targeted recovery demands a command. This one finds nothing. */
export const NOTHING_TO_FETCH = 'false';

/**
 * Computes the settings (PostgreSQL 12 and newer).
 * @param restoreCommand fetches WAL that is not in `pg_wal`
 */
export function recoverySettings(
  position: Position,
  primary: PrimaryConnection,
  restoreCommand: string = NOTHING_TO_FETCH,
): RecoverySettings {
  const { target, role } = position;
  if (target.kind === 'none' && role === 'primary') {
    if ([position.timeline, position.action, position.inclusive].some((modifier) => modifier !== undefined)) {
      throw new PgmonetaError('RESTORE_ERROR', 'inclusive, timeline and action need a target in the position', {
        hint: 'add current, immediate, name=, xid=, lsn= or time=',
      });
    }
    return { parameters: [], signal: undefined };
  }
  if (target.kind === 'current' && role === 'primary' && actionOf(position) !== 'promote') {
    throw new PgmonetaError(
      'RESTORE_ERROR',
      `current with action=${position.action}: PostgreSQL promotes at the end of all WAL whatever it is told`,
      {
        hint: "give a target with an end instead (lsn=, time=, name=, xid=); 'pgmoneta-cli status details' shows RestorableTo",
      },
    );
  }
  const parameters: [string, string][] = TARGETS.map((name) => [name, '']);
  const set = (name: string, value: string): void => {
    const index = parameters.findIndex(([other]) => other === name);
    // The target goes behind the ones that are cleared: PostgreSQL refuses to clear one while another is set.
    if (index >= 0) parameters.splice(index, 1);
    parameters.push([name, value]);
  };
  if (target.kind === 'immediate') set('recovery_target', 'immediate');
  else if (target.kind !== 'none' && target.kind !== 'current') set(`recovery_target_${target.kind}`, target.value);
  set('recovery_target_inclusive', position.inclusive === false ? 'off' : 'on');
  set('recovery_target_timeline', timelineOf(position));
  set('recovery_target_action', actionOf(position));
  // Commands of the source belong to the source's archive.
  set('archive_cleanup_command', '');
  set('recovery_end_command', '');
  // Without it PostgreSQL shuts down where it was told to pause.
  if (actionOf(position) === 'pause') set('hot_standby', 'on');
  if (role === 'replica') {
    set('restore_command', restoreCommand === NOTHING_TO_FETCH ? '' : restoreCommand);
    set('primary_conninfo', conninfo(primary));
    set('primary_slot_name', '');
    return { parameters, signal: 'standby.signal' };
  }
  // A backup from a delayed standby would recover as slowly.
  set('recovery_min_apply_delay', '0');
  set('restore_command', restoreCommand);
  set('primary_conninfo', '');
  set('primary_slot_name', '');
  return { parameters, signal: 'recovery.signal' };
}

/** libpq's form; the password stays out, a passfile of the restored server's user has it. */
function conninfo(primary: PrimaryConnection): string {
  const quote = (value: string): string =>
    /^[A-Za-z0-9_./-]+$/.test(value) ? value : `'${value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
  return [
    `host=${quote(primary.host)}`,
    `port=${primary.port}`,
    `user=${quote(primary.user)}`,
    `application_name=${quote(primary.applicationName)}`,
  ].join(' ');
}

/** A value as postgresql.conf wants it: in single quotes, `'` and `\` doubled. */
export function quoteSetting(value: string): string {
  if (hasControlCharacter(value)) {
    throw new PgmonetaError(
      'RESTORE_ERROR',
      `a recovery setting contains a control character: ${JSON.stringify(value)}`,
    );
  }
  return `'${value.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;
}

/** A line that sets one of the parameters. */
function settingOf(names: readonly string[]): RegExp {
  return new RegExp(`^[ \\t]*(?:${names.join('|')})(?:[ \\t]*=|[ \\t])`, 'i');
}

const HEADER = '# Recovery settings written by pgmoneta';

/**
 * The new text of `postgresql.auto.conf`: every other line as it was, lines that set what a restore decides taken
 * out, ours at the end.
 */
export function editAutoConf(text: string, settings: RecoverySettings): string {
  const ours = settingOf([...OWNED, ...settings.parameters.map(([name]) => name)]);
  const kept = text.split('\n').filter((line) => !ours.test(line) && !line.startsWith(HEADER));
  while (kept.length > 0 && kept[kept.length - 1] === '') kept.pop();
  const lines = settings.parameters.map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return `${[...kept, HEADER, ...lines].join('\n')}\n`;
}
