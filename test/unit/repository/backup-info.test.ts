import { describe, expect, it } from 'vitest';
import { type BackupInfo, formatBackupInfo, parseBackupInfo } from '../../../src/repository/backup-info.js';

const INFO: BackupInfo = {
  version: '0.21.0',
  status: true,
  label: '20260102030405',
  wal: '000000010000000000000002',
  backupSize: 123_456_789_012,
  restoreSize: 42,
  biggestFile: 7,
  elapsed: { ELAPSED: 1.5, BASEBACKUP_ELAPSED: 1.25 },
  majorVersion: 17,
  minorVersion: 10,
  keep: true,
  compression: 18,
  encryption: 1,
  tablespaces: [
    { directory: 'tblspc_fast', oid: '16384', path: '/srv/fast' },
    { directory: 'tblspc_a=b', oid: '16385', path: '/srv/a=b' },
  ],
  startLsn: '0/2000028',
  endLsn: '0/2000158',
  checkpointLsn: '0/2000080',
  startTimeline: 1,
  endTimeline: 2,
  incremental: false,
  parent: '',
  comments: 'why|before the upgrade',
  extra: '',
};

describe('backup.info', () => {
  it('has the keys of 0.21 in their order', () => {
    const keys = formatBackupInfo(INFO)
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(0, line.indexOf('=')));
    expect(keys).toEqual(
      (
        'PGMONETA_VERSION STATUS LABEL WAL BACKUP RESTORE BIGGEST_FILE ELAPSED BASEBACKUP_ELAPSED HASH_ELAPSED ' +
        'COMPRESSION_ZSTD_ELAPSED COMPRESSION_GZIP_ELAPSED COMPRESSION_BZIP2_ELAPSED COMPRESSION_LZ4_ELAPSED ' +
        'ENCRYPTION_ELAPSED LINKING_ELAPSED MANIFEST_ELAPSED REMOTE_SSH_ELAPSED REMOTE_S3_ELAPSED REMOTE_AZURE_ELAPSED ' +
        'MAJOR_VERSION MINOR_VERSION KEEP TABLESPACES COMPRESSION ENCRYPTION TABLESPACE1 TABLESPACE_OID1 TABLESPACE_PATH1 ' +
        'TABLESPACE2 TABLESPACE_OID2 TABLESPACE_PATH2 START_WALPOS END_WALPOS CHKPT_WALPOS START_TIMELINE END_TIMELINE ' +
        'TYPE PARENT COMMENTS EXTRA'
      ).split(' '),
    );
  });

  it('reads back what it wrote', () => {
    const back = parseBackupInfo(formatBackupInfo(INFO));
    expect(back).toMatchObject({ ...INFO, elapsed: { ELAPSED: 1.5, BASEBACKUP_ELAPSED: 1.25, HASH_ELAPSED: 0 } });
  });

  it('takes missing keys as zero and ignores unknown ones, as 0.21 does', () => {
    const info = parseBackupInfo('LABEL=20260102030405\nFUTURE=1\n');
    expect(info.status).toBeUndefined();
    expect(info.backupSize).toBe(0);
    expect(info.startLsn).toBe('0/0');
    expect(info.tablespaces).toEqual([]);
  });

  it('reads the (null) that the C program writes for a segment it did not find', () => {
    expect(parseBackupInfo('STATUS=1\nWAL=(null)\n').wal).toBe('');
  });

  it.each([
    ['', 'the file is empty'],
    ['STATUS=1\nnonsense\n', 'x/backup.info:2: expected KEY=value'],
    ['BACKUP=12x\n', 'BACKUP=12x is not a number'],
    ['BACKUP=99999999999999999999\n', 'is not a number'],
    ['TABLESPACES=1\n', 'TABLESPACE1 is missing'],
    ['TABLESPACES=4000000\n', 'is more than'],
    ['TABLESPACES=1\nTABLESPACE1=../../etc\nTABLESPACE_OID1=1\n', 'is not usable'],
    [`LABEL=${'x'.repeat(70_000)}\n`, 'longer than'],
  ])('refuses %j with file and cause', (text, why) => {
    expect(() => parseBackupInfo(text, 'x/backup.info')).toThrow(why);
  });

  it('never writes a value that would break the line structure', () => {
    expect(() => formatBackupInfo({ ...INFO, comments: 'a\nSTATUS=1' })).toThrow('line break');
  });
});
