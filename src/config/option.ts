import type { Json, ValueType } from './values/value-type.js';

/**
 * What a reload does with a changed key: `hot` is taken over at once, `rebind` too, and a listener moves to its new
 * address; `restart` is reported and the running value stays.
 */
export type ReloadEffect = 'hot' | 'rebind' | 'restart';

/** What a computed default may look at. */
export interface DefaultContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Values of the same section that stand before in the table, by key. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A default that depends on its surroundings; `text` describes it in the manual. */
export interface ComputedDefault<T> {
  readonly text: string;
  readonly compute: (context: DefaultContext) => T;
}

/** Facts of a key that are not about its type. */
export interface OptionFacts {
  /** One line of help. */
  readonly help: string;
  readonly reload: ReloadEffect;
  /** First version that has the key; `here` for keys that the C program does not have. Absent: 0.21 or before. */
  readonly since?: string;
  /** The value is never shown or logged. */
  readonly secret?: boolean;
  /** Unset in a server section means the value of `[pgmoneta]`. */
  readonly inherits?: boolean;
  /** Whether `conf set` takes it; the default is yes. */
  readonly settable?: boolean;
  /** `conf get` of an unset value; the default is "". */
  readonly unset?: Json;
  /** Key whose value is the content of the file named here. */
  readonly contentOf?: string;
  /** A bad value stays an error with `--lenient`, because the fallback would be dangerous. */
  readonly strict?: boolean;
  /** The key does nothing here and is accepted for the sake of existing files. */
  readonly inert?: boolean;
}

/** A row of the option table; `T` is the type of the setting. */
export interface Option<T> extends OptionFacts {
  readonly type: ValueType<unknown>;
  readonly required: boolean;
  readonly fallback: T | ComputedDefault<T> | undefined;
}

/** A table of options by key. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The settings that a table describes. */
export type SettingsOf<Table> = { readonly [Key in keyof Table]: Table[Key] extends Option<infer T> ? T : never };

/** A key that must be given. */
export function required<T>(type: ValueType<T>, facts: OptionFacts): Option<T> {
  return { ...facts, type: type as ValueType<unknown>, required: true, fallback: undefined };
}

/** A key that may be left out, without a default: `null`. */
export function optional<T>(type: ValueType<T>, facts: OptionFacts): Option<T | null> {
  return { ...facts, type: type as ValueType<unknown>, required: false, fallback: null };
}

/** A key with a default. */
export function option<T>(type: ValueType<T>, fallback: T | ComputedDefault<T>, facts: OptionFacts): Option<T> {
  return { ...facts, type: type as ValueType<unknown>, required: false, fallback };
}

function isComputed(fallback: unknown): fallback is ComputedDefault<unknown> {
  return typeof fallback === 'object' && fallback !== null && 'compute' in fallback;
}

/** The default of a key in its surroundings; `null` where there is none. */
export function defaultOf(row: Option<unknown>, context: DefaultContext): unknown {
  if (isComputed(row.fallback)) return row.fallback.compute(context);
  return row.fallback ?? null;
}

/** The default of a key as the manual shows it; "" where there is none. */
export function defaultText(row: Option<unknown>): string {
  if (isComputed(row.fallback)) return row.fallback.text;
  if (row.fallback === undefined || row.fallback === null) return '';
  return row.type.write(row.fallback);
}
