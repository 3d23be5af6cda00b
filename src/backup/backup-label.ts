import { PgmonetaError } from '../errors/index.js';

/** What PostgreSQL writes into `backup_label`, in every supported major. */
export interface BackupLabelFile {
  readonly startLsn: string;
  readonly startSegment: string;
  readonly checkpointLsn: string;
  readonly from: 'primary' | 'standby';
  /** As the server wrote it, with its zone. */
  readonly startTime: string;
  readonly label: string;
  readonly startTimeline: number;
  readonly incrementalFromLsn: string | undefined;
  readonly incrementalFromTimeline: number | undefined;
}

const LSN = '[0-9A-F]{1,8}/[0-9A-F]{1,8}';

/**
 * Parses the text of a `backup_label`.
 * @throws PgmonetaError CORRUPT when a line that every version writes is missing
 */
export function parseBackupLabel(text: string): BackupLabelFile {
  const line = (pattern: string): RegExpMatchArray | null => text.match(new RegExp(`^${pattern}$`, 'm'));
  const demand = (pattern: string, name: string): RegExpMatchArray => {
    const found = line(pattern);
    if (found === null) {
      throw new PgmonetaError('CORRUPT', `backup_label has no line '${name}'`, {
        hint: "the server sent a file that is not PostgreSQL's; take the backup again",
      });
    }
    return found;
  };
  const start = demand(`START WAL LOCATION: (${LSN}) \\(file ([0-9A-F]{24})\\)`, 'START WAL LOCATION');
  const checkpoint = demand(`CHECKPOINT LOCATION: (${LSN})`, 'CHECKPOINT LOCATION');
  const timeline = demand('START TIMELINE: (\\d+)', 'START TIMELINE');
  const fromTimeline = line('INCREMENTAL FROM TLI: (\\d+)');
  return {
    startLsn: start[1] as string,
    startSegment: start[2] as string,
    checkpointLsn: checkpoint[1] as string,
    from: line('BACKUP FROM: (standby)') === null ? 'primary' : 'standby',
    startTime: line('START TIME: (.*)')?.[1] ?? '',
    label: line('LABEL: (.*)')?.[1] ?? '',
    startTimeline: Number(timeline[1]),
    incrementalFromLsn: line(`INCREMENTAL FROM LSN: (${LSN})`)?.[1],
    incrementalFromTimeline: fromTimeline === null ? undefined : Number(fromTimeline[1]),
  };
}
