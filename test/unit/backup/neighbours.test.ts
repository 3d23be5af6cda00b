import { expect, it } from 'vitest';
import { lastOfKind, linkSource } from '../../../src/backup/neighbours.js';
import type { BackupInfo } from '../../../src/repository/backup-info.js';
import type { StoredBackup } from '../../../src/repository/catalogue.js';

const backup = (label: string, incremental: boolean, majorVersion = 17, validity: 'valid' | 'invalid' = 'valid') =>
  ({ label, validity, info: { incremental, majorVersion } as BackupInfo }) as StoredBackup;

it('a full backup links to the newest valid full one of its version, else to an incremental one', () => {
  const all = [backup('a', false), backup('b', true), backup('c', false, 16), backup('d', false, 17, 'invalid')];
  expect(linkSource(all, 17)?.label).toBe('a');
  expect(linkSource(all, 16)?.label).toBe('c');
  expect(linkSource(all, 18)).toBeUndefined();
  expect(linkSource(all.slice(1), 17)?.label).toBe('b');
  expect(lastOfKind(all, 17, true)?.label).toBe('b');
});
