import { readFile } from 'node:fs/promises';
import { asPgmonetaError } from '../errors/index.js';
import { writeTextDurable } from './durable.js';
import { lockPatiently } from './locks.js';
import type { ServerPaths } from './paths.js';

/** What a verification came to: all well; something is not as it was written; something could not be read or unpacked. */
export type VerificationResult = 'good' | 'damaged' | 'unreadable';

/** The last verification of a backup. */
export interface Verification {
  readonly at: Date;
  readonly result: VerificationResult;
  /** Files that were not as they should be. */
  readonly faults: number;
  /** A sentence about the first of them; empty when there is none. */
  readonly message: string;
  /** Whether a later verification that finds no fault may call the backup valid again. */
  readonly healable: boolean;
}

/** The last verification of each backup that was verified, by label. */
export type Verifications = ReadonlyMap<string, Verification>;

/** How long a writer waits for another one, in milliseconds. */
const PATIENCE = 60_000;
const RESULTS: readonly string[] = ['good', 'damaged', 'unreadable'] satisfies VerificationResult[];

/**
 * Reads what is remembered of a server's verifications. A file that cannot be read or understood is as good as none:
 * then everything is verified anew.
 */
export async function readVerifications(paths: ServerPaths): Promise<Verifications> {
  try {
    const document = JSON.parse(await readFile(paths.verified, 'utf8')) as { Backups?: Record<string, unknown> };
    return new Map(
      Object.entries(document.Backups ?? {}).flatMap(([label, entry]) => {
        const known = readEntry(entry);
        return known === undefined ? [] : [[label, known] as const];
      }),
    );
  } catch {
    return new Map();
  }
}

function readEntry(entry: unknown): Verification | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { At, Result, Faults, Message, Healable } = entry as Record<string, unknown>;
  const at = new Date(String(At));
  if (Number.isNaN(at.getTime()) || typeof Result !== 'string' || !RESULTS.includes(Result)) return undefined;
  return {
    at,
    result: Result as VerificationResult,
    faults: typeof Faults === 'number' ? Faults : 0,
    message: typeof Message === 'string' ? Message : '',
    healable: Healable === true,
  };
}

/**
 * Remembers a verification; those of backups that are gone are forgotten.
 * @param labels of the backups that there are
 * @throws PgmonetaError IO, NO_SPACE, REPOSITORY_LOCKED, CANCELLED
 */
export async function rememberVerification(
  paths: ServerPaths,
  label: string,
  verification: Verification,
  labels: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await change(paths, signal, (known) => {
    const kept = [...known].filter(([name]) => name === label || labels.includes(name));
    return new Map([...kept, [label, verification]]);
  });
}

/**
 * Forgets the verification of a backup whose files were made anew: it is due.
 * @throws PgmonetaError IO, NO_SPACE, REPOSITORY_LOCKED, CANCELLED
 */
export async function forgetVerification(paths: ServerPaths, label: string, signal: AbortSignal): Promise<void> {
  if (!(await readVerifications(paths)).has(label)) return;
  await change(paths, signal, (known) => new Map([...known].filter(([name]) => name !== label)));
}

async function change(
  paths: ServerPaths,
  signal: AbortSignal,
  edit: (known: Verifications) => Verifications,
): Promise<void> {
  const held = await lockPatiently(paths.infoLock, 'exclusive', 'verification', 'REPOSITORY_LOCKED', PATIENCE, signal);
  try {
    const kept = [...edit(await readVerifications(paths))].sort();
    const entries = kept.map(([name, one]) => `${JSON.stringify(name)}: ${JSON.stringify(document(one))}`);
    await writeTextDurable(paths.verified, `{ "Version": 1,\n"Backups": {\n${entries.join(',\n')}\n}}\n`);
  } catch (error) {
    throw asPgmonetaError(error);
  } finally {
    held.release();
  }
}

function document({ at, result, faults, message, healable }: Verification): object {
  return { At: at.toISOString(), Result: result, Faults: faults, Message: message, Healable: healable };
}

/**
 * The backups that it is time to verify, in the order in which that should be done: those that never were, oldest
 * first, then those whose verification is the longest ago. One whose time lies in the future was verified by another
 * clock than this one: it is due.
 * @param interval seconds from one verification of a backup to the next
 */
export function dueForVerification(
  labels: readonly string[],
  verifications: Verifications,
  interval: number,
  now: Date,
): string[] {
  const lastOf = (label: string): number => verifications.get(label)?.at.getTime() ?? Number.NEGATIVE_INFINITY;
  return labels
    .filter((label) => lastOf(label) > now.getTime() || now.getTime() - lastOf(label) >= interval * 1000)
    .toSorted((left, right) => compare(lastOf(left), lastOf(right)) || compare(left, right));
}

function compare<T extends number | string>(left: T, right: T): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
