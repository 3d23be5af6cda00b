import { expect, it } from 'vitest';
import type { BackupLabelFile } from '../../../src/backup/backup-label.js';
import { checkLineage, type Parent } from '../../../src/backup/incremental.js';

const parent = { backup: { label: '20260101000001' }, startLsn: '0/2000028', startTimeline: 1 } as Parent;
const label = (lsn?: string, timeline?: number) =>
  ({ incrementalFromLsn: lsn, incrementalFromTimeline: timeline }) as BackupLabelFile;

it('backup_label names the parent, or none for a full backup', () => {
  checkLineage(label('0/2000028', 1), parent);
  checkLineage(label(), undefined);
  expect(() => checkLineage(label(), parent)).toThrow('is full, but its parent 20260101000001 begins at 0/2000028');
  expect(() => checkLineage(label('0/2000028', 2), parent)).toThrow('is incremental to 0/2000028 on timeline 2');
  expect(() => checkLineage(label('0/3000028', 1), parent)).toThrow('0/3000028');
  expect(() => checkLineage(label('0/2000028', 1), undefined)).toThrow('a full one was asked for');
});
