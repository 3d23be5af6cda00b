import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { TimelineId } from '../postgres/types.js';
import type { WalExtent } from './extent.js';
import { historyNames } from './stored-name.js';
import { HISTORY_SIZE_LIMIT, parseHistory, type TimelineHistory } from './timelines.js';

/** The content of a history file, one character for each byte, or why it cannot be had. */
export type HistoryText = string | PgmonetaError;

/** Reads a history file; undefined when it has gone since it was listed. */
export async function readHistoryFile(path: string): Promise<HistoryText | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      // One byte more than is allowed, so that the parser sees that there is too much.
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.min(size, HISTORY_SIZE_LIMIT + 1));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return new PgmonetaError('IO', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * What the history files of a directory say. Of two for one timeline the one that can be read is taken.
 * @param files names by timeline
 * @param texts content, by name
 */
export function parseHistories(
  directory: string,
  files: ReadonlyMap<TimelineId, readonly string[]>,
  texts: ReadonlyMap<string, HistoryText>,
): Pick<WalExtent, 'histories' | 'damaged'> {
  const histories = new Map<TimelineId, TimelineHistory>();
  const damaged = new Map<TimelineId, PgmonetaError>();
  for (const timeline of files.keys()) {
    for (const name of historyNames(timeline)) {
      const text = texts.get(name);
      if (text === undefined || histories.has(timeline)) continue;
      try {
        if (text instanceof PgmonetaError) throw text;
        histories.set(timeline, parseHistory(timeline, text, join(directory, name)));
        damaged.delete(timeline);
      } catch (error) {
        damaged.set(timeline, asPgmonetaError(error));
      }
    }
  }
  return { histories, damaged };
}
