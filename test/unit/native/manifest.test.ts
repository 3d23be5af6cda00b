import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readBackupHeader, readPgControl, replaceHashLine } from '../../../src/native/manifest.js';
import { controlFile } from './stored-backup.js';

function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'manifest-'));
  return work(directory).finally(() => rmSync(directory, { recursive: true }));
}

test('a control file is read, and a damaged one refused', () => {
  const bytes = controlFile(18446744073709551615n);
  expect(readPgControl(bytes)).toMatchObject({
    systemIdentifier: '18446744073709551615',
    majorVersion: 16,
    blockSize: 8192,
    walSegmentSize: 16 << 20,
    checkpointLsn: '0/0',
  });
  bytes[20] = 1;
  expect(() => readPgControl(bytes)).toThrow(/damaged/);
  expect(() => readPgControl(Buffer.alloc(10))).toThrow(/10 bytes/);
});

test('the header of backup.json keeps keys of later releases', () =>
  inDirectory(async (directory) => {
    const header = '{"label":"20260102030405","novel":[1]}';
    writeFileSync(
      join(directory, 'backup.json'),
      `{ "Version": 1,\n"Backup": ${header},\n"Files": [\n],\n"Directories": [\n],\n"Links": [\n]\n}\n`,
    );
    expect(await readBackupHeader(directory)).toEqual({ label: '20260102030405', novel: [1] });
    await expect(readBackupHeader(join(directory, 'none'))).rejects.toMatchObject({ code: 'IO' });
  }));

test('one line of a hash list is replaced', () =>
  inDirectory(async (directory) => {
    const list = join(directory, 'backup.sha512');
    const [old, keep, fresh] = ['a', 'b', 'c'].map((digit) => digit.repeat(128)) as [string, string, string];
    writeFileSync(list, `${old} *./backup.info\n${keep} *./data/x\n`);
    await replaceHashLine(list, 'backup.info', fresh);
    expect(readFileSync(list, 'utf8')).toBe(`${fresh} *./backup.info\n${keep} *./data/x\n`);
    await expect(replaceHashLine(list, 'backup.info', 'abc')).rejects.toMatchObject({ code: 'USAGE' });
  }));
