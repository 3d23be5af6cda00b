import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BackupReceiver, type ReceiverOptions } from '../../../src/native/receiver.js';

const FILES: readonly (readonly [string, Buffer])[] = [
  ['backup_label', Buffer.from('START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n')],
  ['base/1/1259', Buffer.alloc(3_500_000, 'heap page ')],
  ['base/1/1260', Buffer.alloc(0)],
  ['global/pg_control', Buffer.alloc(8192, 7)],
];
const HEADER = '{"label":"20260102030405","compression":"none","encryption":"none"}';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'native-receiver-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function archive(): Promise<Buffer> {
  const stream = pack();
  for (const [name, data] of FILES) stream.entry({ name, mode: 0o600 }, data);
  stream.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

function manifest(change: (line: string) => string = (line) => line): Buffer {
  const lines = FILES.map(
    ([path, data]) =>
      `{ "Path": "${path}", "Size": ${data.length}, "Last-Modified": "2026-01-02 03:04:05 GMT", ` +
      `"Checksum-Algorithm": "SHA256", "Checksum": "${sha256(data)}" }`,
  ).map(change);
  const range = '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }';
  const body = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${lines.join(',\n')}\n],\n"WAL-Ranges": [\n${range}\n],\n`;
  return Buffer.from(`${body}"Manifest-Checksum": "${sha256(body)}"}\n`);
}

function options(more: Partial<ReceiverOptions> = {}): ReceiverOptions {
  return {
    directory: join(root, 'staging'),
    codec: 'none',
    level: 3,
    workers: 2,
    manifestChecksums: 'sha256',
    ...more,
  };
}

async function send(receiver: BackupReceiver, bytes: Buffer, list = manifest()): Promise<void> {
  receiver.beginArchive(null);
  for (let at = 0; at < bytes.length; at += 50_000) {
    if (!receiver.push(bytes.subarray(at, at + 50_000))) await receiver.drained();
  }
  receiver.endArchive();
  receiver.pushManifest(list);
}

test('a backup goes through and tells what it is', async () => {
  const receiver = new BackupReceiver(options());
  await send(receiver, await archive());
  const received = await receiver.check();
  expect(received).toMatchObject({ files: 4, biggestFile: 3_500_000, linkedFiles: 0, walFiles: [] });
  expect(received.backupLabel).toContain('START WAL LOCATION');
  expect(received.pgControl).toEqual(Buffer.alloc(8192, 7));
  expect(received.walRanges).toEqual([{ timeline: 1, startLsn: '0/2000028', endLsn: '0/2000100' }]);
  const finished = await receiver.finish(HEADER, 'STATUS=1\n');
  expect(finished.files).toBe(8);
  expect(readFileSync(join(root, 'staging/data/base/1/1259')).equals(FILES[1]?.[1] as Buffer)).toBe(true);
  expect(readdirSync(join(root, 'staging')).sort()).toEqual(
    ['backup.info', 'backup.json', 'backup.manifest', 'backup.sha512', 'data'].sort(),
  );
  expect(receiver.progress()).toMatchObject({ files: 4, plainBytes: received.plainBytes });
});

test('what is compressed can be read by others', async () => {
  const receiver = new BackupReceiver(options({ codec: 'gzip' }));
  await send(receiver, await archive());
  await receiver.check();
  const stored = readFileSync(join(root, 'staging/data/base/1/1259.gz'));
  expect(gunzipSync(stored).equals(FILES[1]?.[1] as Buffer)).toBe(true);
});

test('a second backup links what has not changed', async () => {
  const first = new BackupReceiver(options({ directory: join(root, 'one') }));
  await send(first, await archive());
  await first.check();
  await first.finish(HEADER, 'STATUS=1\n');
  const link = { directory: join(root, 'one'), label: '20260102030405' };
  const second = new BackupReceiver(options({ directory: join(root, 'two'), link }));
  await send(second, await archive());
  expect(await second.check()).toMatchObject({ files: 4, linkedFiles: 2 });
});

test('a file that differs from the manifest is named', async () => {
  const receiver = new BackupReceiver(options());
  const changed = manifest((line) => line.replace('"Size": 3500000', '"Size": 3500001'));
  await send(receiver, await archive(), changed);
  await expect(receiver.check()).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringContaining('base/1/1259 has 3500000 bytes instead of 3500001'),
  });
});

test('a damaged archive is an error of push, and abort leaves nothing', async () => {
  const receiver = new BackupReceiver(options());
  receiver.beginArchive(null);
  expect(() => receiver.push(Buffer.alloc(512, 'x'))).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  await receiver.drained();
  await receiver.abort();
  expect(existsSync(join(root, 'staging'))).toBe(false);
});

test('an abort during the check ends it', async () => {
  const receiver = new BackupReceiver(options());
  await send(receiver, await archive());
  const check = receiver.check().then(
    () => 'checked',
    (error: { code: string }) => error.code,
  );
  await receiver.abort();
  expect(['checked', 'CANCELLED']).toContain(await check);
  expect(existsSync(join(root, 'staging'))).toBe(false);
  expect(() => receiver.push(Buffer.alloc(1))).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('options that cannot be carried out are refused', () => {
  const refused: Partial<ReceiverOptions & { typo: number }>[] = [
    { workers: 0 },
    { codec: 'rar' as 'zstd' },
    { manifestChecksums: 'md5' },
    { cipher: { mode: 'aes-256-gcm', masterSecret: Buffer.alloc(3) } },
    { typo: 1 },
  ];
  for (const wrong of refused) {
    expect(() => new BackupReceiver(options(wrong)), JSON.stringify(wrong)).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    );
  }
});
