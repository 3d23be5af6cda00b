/** `backup.info`: what another program, or a damaged disk, has written. What parses is written and parsed again. */
import assert from 'node:assert/strict';
import { product } from '../product.mjs';

const { formatBackupInfo, parseBackupInfo } = await product('repository/backup-info.js');

export const seeds = [
  [
    'PGMONETA_VERSION=0.21.0',
    'STATUS=1',
    'LABEL=20260102030405',
    'WAL=000000010000000000000002',
    'BACKUP=123456789012',
    'RESTORE=42',
    'BIGGEST_FILE=7',
    'ELAPSED=1.5000',
    'MAJOR_VERSION=17',
    'MINOR_VERSION=10',
    'KEEP=0',
    'TABLESPACES=1',
    'COMPRESSION=18',
    'ENCRYPTION=1',
    'TABLESPACE1=tblspc_fast',
    'TABLESPACE_OID1=16384',
    'TABLESPACE_PATH1=/srv/fast',
    'START_WALPOS=0/2000028',
    'END_WALPOS=0/2000158',
    'CHKPT_WALPOS=0/2000080',
    'START_TIMELINE=1',
    'END_TIMELINE=1',
    'TYPE=0',
    'PARENT=',
    'COMMENTS=why|before',
    'EXTRA=',
    '',
  ].join('\n'),
  'STATUS=1\nWAL=(null)\n',
];
export const tokens = [
  '=',
  '\n',
  '\r\n',
  'TABLESPACES=65537\n',
  'TABLESPACE1=../x\n',
  '\0',
  '99999999999999999999',
  '-1',
];

/** @param {Buffer} input */
export function run(input) {
  const info = parseBackupInfo(input.toString('utf8'), 'backup.info');
  const again = parseBackupInfo(formatBackupInfo(info), 'backup.info');
  assert.deepEqual(
    { ...again, status: again.status === true, elapsed: {} },
    { ...info, status: info.status === true, elapsed: {} },
  );
}
