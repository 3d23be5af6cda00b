import { expect, it } from 'vitest';
import { parseBackupLabel } from '../../../src/backup/backup-label.js';

const TEXT = `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
CHECKPOINT LOCATION: 0/2000080
BACKUP METHOD: streamed
BACKUP FROM: standby
START TIME: 2026-01-02 03:04:05 UTC
LABEL: pgmoneta_20260102030405
START TIMELINE: 3
`;

it('reads the lines of a full backup', () => {
  expect(parseBackupLabel(TEXT)).toEqual({
    startLsn: '0/2000028',
    startSegment: '000000010000000000000002',
    checkpointLsn: '0/2000080',
    from: 'standby',
    startTime: '2026-01-02 03:04:05 UTC',
    label: 'pgmoneta_20260102030405',
    startTimeline: 3,
    incrementalFromLsn: undefined,
    incrementalFromTimeline: undefined,
  });
});

it('reads the lines that an incremental backup adds', () => {
  const found = parseBackupLabel(`${TEXT}INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 2\n`);
  expect(found.incrementalFromLsn).toBe('0/1000028');
  expect(found.incrementalFromTimeline).toBe(2);
});

it.each(['START WAL LOCATION', 'CHECKPOINT LOCATION', 'START TIMELINE'])('refuses a text without %s', (line) => {
  const without = TEXT.split('\n')
    .filter((text) => !text.startsWith(line))
    .join('\n');
  expect(() => parseBackupLabel(without)).toThrow(line);
});
