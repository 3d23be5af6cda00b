import { join } from 'node:path';
import { asPgmonetaError } from '../errors/index.js';
import { writeFileDurable } from '../native/fs.js';
import { type Connection, historyName, readTimelineHistory, type TimelineId } from '../postgres/index.js';
import type { WalLog } from './log.js';
import { DEFAULT_SEGMENT_SIZE } from './segment-size.js';
import { surveyWal } from './survey.js';

/**
 * Stores the history of a timeline, and those of its ancestors that are not there yet, each durable and exactly as the
 * server has it.
 * @param connection a replication connection
 */
export async function keepHistory(
  connection: Connection,
  directory: string,
  timeline: TimelineId,
  log: WalLog,
): Promise<void> {
  if (timeline === 1) return;
  const keep = async (wanted: TimelineId): Promise<void> =>
    writeFileDurable(join(directory, historyName(wanted)), await readTimelineHistory(connection, wanted));
  await keep(timeline);
  const { histories } = await surveyWal(directory, DEFAULT_SEGMENT_SIZE);
  for (const { timeline: ancestor } of histories.get(timeline)?.entries ?? []) {
    if (ancestor === 1 || histories.has(ancestor)) continue;
    try {
      await keep(ancestor);
    } catch (error) {
      // The newest history has all that a recovery needs; a server may have cleaned up the older ones.
      log.warn(`the history of timeline ${ancestor} could not be kept: ${asPgmonetaError(error).message}`);
    }
  }
}
