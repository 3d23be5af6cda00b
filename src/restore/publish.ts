import { lstat, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { removeTree, syncDirectory } from '../native/fs.js';
import { removeTemporaries, renameDurable, writeTextDurable } from '../repository/durable.js';
import { controlOf } from './old-cluster.js';
import { type PublicationGuard, requireLeftAlone, wasLeftAlone } from './publication-guard.js';
import { buildingName, type TargetPlan } from './target.js';

/** A rename: of what is replaced out of the way, or of what was built to its name. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/** What has to be known to settle a publication that was cut short. */
interface Journal {
  readonly moves: readonly Move[];
  readonly guard: PublicationGuard | undefined;
}

/** Where a directory stays while the one that replaces it gets its name. */
export function replacedName(path: string): string {
  return join(dirname(path), `.${basename(path)}.replaced`);
}

/** The journal of a publication: beside the data directory, there from before the first rename until after the last. */
export function journalName(final: string): string {
  return join(dirname(final), `.${basename(final)}.publishing`);
}

/**
 * The renames that give finished directories their names, in order. The data directory to be replaced goes first: a
 * half replaced cluster must not be startable. The new one comes last: until it is there, nothing can be started.
 */
export function publicationMoves(plan: TargetPlan, existing: readonly string[]): readonly Move[] {
  return [
    ...existing.map((path) => ({ from: path, to: replacedName(path) })),
    ...[...plan.tablespaces, plan].map(({ building, final }) => ({ from: building, to: final })),
  ];
}

/**
 * Gives the finished directories their names and removes what they replace. When a step fails, everything is put back
 * where it was; when the process dies in between, {@link settlePublication} does it.
 * @param guard the cluster that is replaced, when the new one shares files with it
 * @throws PgmonetaError RESTORE_TEARDOWN when a server was started in that meanwhile
 */
export async function publish(plan: TargetPlan, existing: readonly string[], guard?: PublicationGuard): Promise<void> {
  if (guard !== undefined) await requireLeftAlone(guard, guard.directory);
  const moves = publicationMoves(plan, existing);
  const journal = journalName(plan.final);
  await writeTextDurable(journal, `${JSON.stringify({ moves, guard })}\n`);
  try {
    for (const { from, to } of moves) await renameDurable(from, to);
    if (guard !== undefined) await requireLeftAlone(guard, replacedName(guard.directory));
  } catch (error) {
    await takeBack(moves);
    await removeJournal(journal);
    throw error;
  }
  await removeReplaced(moves);
  await removeJournal(journal);
}

/**
 * Settles a publication to the same place that was cut short by a kill or a power failure: it stands when the new data
 * directory has its name, otherwise everything is put back where it was.
 * @throws PgmonetaError RESTORE_SETUP when something else has been put in the way since
 */
export async function settlePublication(final: string): Promise<'none' | 'completed' | 'taken back'> {
  const journal = journalName(final);
  await removeTemporaries(dirname(journal), [basename(journal)]);
  const text = await readFile(journal, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return 'none';
  const { moves, guard } = readJournal(journal, text);
  const last = moves.at(-1) as Move;
  const completed = (await isMade(last)) && (guard === undefined || (await mayGo(guard)));
  if (completed) await removeReplaced(moves);
  else await takeBack(moves);
  await removeJournal(journal);
  return completed ? 'completed' : 'taken back';
}

/** Reads a journal, which must hold nothing but the two kinds of renames that this module makes. */
function readJournal(journal: string, text: string): Journal {
  try {
    const { moves, guard } = JSON.parse(text) as { moves: unknown; guard?: PublicationGuard };
    const isGuarded = guard === undefined || (typeof guard.directory === 'string' && typeof guard.control === 'string');
    if (Array.isArray(moves) && moves.length > 0 && moves.every(isOurs) && isGuarded) return { moves, guard };
  } catch {
    // One message for every kind of damage.
  }
  throw new PgmonetaError('RESTORE_SETUP', `the journal ${journal} of an interrupted restore cannot be read`, {
    hint: 'look at the directories beside it whose names start with a dot, move what you need, and remove the journal',
  });
}

/** Checked by hand: a schema library would take longer to load than all the rest of a restore's code. */
function isOurs(move: Partial<Move> | null): move is Move {
  const { from, to } = move ?? {};
  if (typeof from !== 'string' || typeof to !== 'string') return false;
  return to === replacedName(from) || from === buildingName(to);
}

/** Whether the replaced cluster was left alone; one that is being removed already was. */
async function mayGo(guard: PublicationGuard): Promise<boolean> {
  const place = replacedName(guard.directory);
  return (await controlOf(place)) === undefined || (await wasLeftAlone(guard, place));
}

async function takeBack(moves: readonly Move[]): Promise<void> {
  for (const move of [...moves].reverse()) {
    const { from, to } = move;
    if (to === replacedName(from) && (await exists(to)) && (await exists(from))) {
      throw new PgmonetaError('RESTORE_SETUP', `${to} cannot be put back to ${from}: something else is there now`, {
        hint: `an interrupted restore had moved it; move ${from} away and run the restore again`,
      });
    }
    if (await isMade(move)) await renameDurable(to, from);
  }
}

/** A rename was made when its source is gone and its destination there. */
async function isMade({ from, to }: Move): Promise<boolean> {
  return !(await exists(from)) && (await exists(to));
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

async function removeReplaced(moves: readonly Move[]): Promise<void> {
  for (const { from, to } of moves) if (to === replacedName(from)) await removeTree(to);
}

async function removeJournal(journal: string): Promise<void> {
  await removeTree(journal);
  await syncDirectory(dirname(journal));
}
