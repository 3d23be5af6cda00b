import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WalFacts } from '../native/wal-scan.js';
import { formatLsn, historyName, parseLsn, segmentNumber, type TimelineId } from '../postgres/types.js';
import type { WalOrder, WalSegment } from '../restore/wal.js';
import { readArchive, type WalArchive, wholeFile } from '../wal/archive.js';
import type { SegmentUse } from '../wal/coverage.js';

/** What is to be copied, as the restore takes it. */
export async function walOrder(
  archive: WalArchive,
  { segmentSize, systemIdentifier }: WalFacts,
  uses: readonly SegmentUse[],
): Promise<WalOrder> {
  const { directory } = archive;
  const segments = uses.map(({ file, segment, timeline, begin, partial }) => ({
    source: join(directory, file),
    name: segment,
    timeline,
    start: formatLsn(begin),
    partial,
  }));
  const locate = async (lost: readonly WalSegment[]): Promise<readonly WalSegment[]> => {
    const now = await readArchive(directory, segmentSize);
    return lost.map((segment) => {
      const number = segmentNumber(parseLsn(segment.start), segmentSize);
      const file = wholeFile(now, segment.timeline as TimelineId, number);
      return file === undefined ? segment : { ...segment, source: join(directory, file), partial: false };
    });
  };
  return { segmentSize, systemIdentifier, segments, histories: await readHistories(archive), locate };
}

/**
 * All history files that can be read, whatever the path: the restored cluster takes the number of its new timeline
 * after the highest of which it knows.
 */
async function readHistories(archive: WalArchive): Promise<WalOrder['histories']> {
  const { directory, histories, historyFiles } = archive;
  const found: { name: string; text: string }[] = [];
  for (const timeline of histories.keys()) {
    // The first name is the one that was read; 0.21 puts a NUL byte at the end.
    const [file] = [...(historyFiles.get(timeline) ?? [])].sort();
    if (file === undefined) continue;
    const text = (await readFile(join(directory, file), 'latin1')).replace(/\0+$/, '');
    found.push({ name: historyName(timeline), text });
  }
  return found;
}
