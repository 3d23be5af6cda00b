import { clusterOf } from '../backup/cluster-of.js';
import { type Parent, proveParent } from '../backup/incremental.js';
import { chooseParent, type ParentCandidate, type ParentQuestion } from '../backup/parent.js';
import { findUnsummarised, summariesMissing } from '../backup/summarised.js';
import type { EffectiveServer } from '../config/of-server.js';
import { asPgmonetaError, type ErrorCode } from '../errors/index.js';
import {
  connectServer,
  identifySystem,
  parseLsn,
  readSummaries,
  readTimelineHistory,
  requireReady,
  type ServerFacts,
} from '../postgres/index.js';
import { listBackups } from '../repository/catalogue.js';
import type { ServerPaths } from '../repository/paths.js';
import { ancestry, parseHistory } from '../wal/timelines.js';

/** What a parent is looked for with. */
export interface ParentSearch {
  readonly server: EffectiveServer;
  readonly password: string | undefined;
  readonly facts: ServerFacts;
  readonly paths: ServerPaths;
  /** A label, `oldest`, `newest` or `latest`. */
  readonly identifier: string;
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

/** Why no incremental backup can be taken although everything works: a full one can. */
const FULL_WOULD_DO: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BACKUP_NOBACKUPS',
  'POSTGRES_SUMMARIES',
  'POSTGRES_UNSUPPORTED',
]);

/** Whether a full backup is the way out of what `findParent` threw. */
export function fullWouldDo(error: unknown): boolean {
  return FULL_WOULD_DO.has(asPgmonetaError(error).code);
}

/**
 * Finds the parent of an incremental backup and asks everything that can be asked before anything is written: whether
 * the server can take incremental backups, which backup fits, whether its manifest is sound, and whether the server
 * has summaries of all WAL since. A damaged manifest rules a backup out; `newest` then means the next one.
 * @throws PgmonetaError POSTGRES_UNSUPPORTED, BACKUP_NOBACKUPS, BACKUP_PARENT, POSTGRES_SUMMARIES, CORRUPT
 */
export async function findParent(search: ParentSearch): Promise<Parent> {
  requireReady(search.facts, 'incremental', search.server.name);
  let question = await ask(search);
  for (;;) {
    const backup = chooseParent(question);
    try {
      const parent = await proveParent(backup, search.facts.systemIdentifier);
      await checkSummaries(search, question, parent);
      return parent;
    } catch (error) {
      if (asPgmonetaError(error).code !== 'CORRUPT' || search.identifier === backup.label) throw error;
      search.warn(`backup ${backup.label} cannot be built on: ${asPgmonetaError(error).message}`);
      question = without(question, backup.label, asPgmonetaError(error).message);
    }
  }
}

/** The same question, with one backup known to be of no use. */
function without(question: ParentQuestion, label: string, problem: string): ParentQuestion {
  const candidates = question.candidates.map((candidate): ParentCandidate => {
    const { backup } = candidate;
    return backup.label === label ? { ...candidate, backup: { ...backup, validity: 'invalid', problem } } : candidate;
  });
  return { ...question, candidates };
}

async function ask({ server, password, facts, paths, identifier, signal }: ParentSearch): Promise<ParentQuestion> {
  const backups = await listBackups(paths);
  const candidates: ParentCandidate[] = [];
  for (const backup of backups) {
    const worthwhile = backup.info?.majorVersion === facts.majorVersion;
    candidates.push({ backup, systemIdentifier: worthwhile ? await clusterOf(backup.directory) : undefined });
  }
  const connection = await connectServer(server, password, { replication: true, signal });
  try {
    const { timeline, position } = await identifySystem(connection);
    const histories = new Map();
    if (timeline > 1) {
      const text = (await readTimelineHistory(connection, timeline)).toString('latin1');
      histories.set(timeline, parseHistory(timeline, text, `the history of timeline ${timeline} on ${server.name}`));
    }
    const { systemIdentifier, majorVersion } = facts;
    const path = ancestry(timeline, histories);
    return { server: server.name, identifier, candidates, systemIdentifier, majorVersion, path, position };
  } finally {
    await connection.close();
  }
}

/** A role that may not see the summaries leaves it to the server to find out. */
async function checkSummaries(search: ParentSearch, question: ParentQuestion, parent: Parent): Promise<void> {
  const { server, password, signal } = search;
  const connection = await connectServer(server, password, { signal });
  try {
    const summaries = await readSummaries(connection);
    if (summaries === undefined) return;
    const start = { timeline: parent.startTimeline, lsn: parseLsn(parent.startLsn) };
    const hole = findUnsummarised(question.path, start, summaries);
    if (hole !== undefined) throw summariesMissing(server.name, parent.backup.label, hole, summaries);
  } finally {
    await connection.close();
  }
}
