import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { layOut, masterSecret } from '../support/c-repository.mjs';
import { checksumEveryTable } from '../support/compare.mjs';
import { takeImage } from '../support/image.mjs';
import { Pgmoneta, section } from '../support/pgmoneta.mjs';
import { referee, verifyBackup } from '../support/referees.mjs';
import { identity } from '../support/runtime.mjs';
import { proveRestored } from '../support/scene.mjs';
import { type Server, startServer } from '../support/server.mjs';
import { buildWorkload } from '../support/workload.mjs';

const OLD = '20250101120000';
const NEW = '20250102120000';
const installed = (tool: string) => spawnSync(tool, ['--version']).error === undefined;
const FORMS = (
  [
    ['none', false],
    ['none', true],
    ['gzip', false],
    ['gzip', true],
    ['lz4', false],
    ['lz4', true],
    ['zstd', false],
    ['zstd', true],
    ['bzip2', true],
  ] as const
).filter(([codec]) => (codec !== 'zstd' && codec !== 'bzip2') || installed(codec));

let server: Server;
let images: [Awaited<ReturnType<typeof takeImage>>, Awaited<ReturnType<typeof takeImage>>];
let checksums: [Record<string, string>, Record<string, string>];
let role: { name: string; password: string };

beforeAll(async () => {
  server = await startServer(16, { settings: { autovacuum: 'off' } });
  await buildWorkload(server, { rows: 3000 });
  // A relation of exactly 1 MiB: the old LZ4 writer ends such files with an empty block.
  await server.sql(`CREATE TABLE round AS SELECT i, repeat('r', 900) AS r FROM generate_series(1, 1024) i; CHECKPOINT`);
  role = await server.createReplicationRole('repl', 'secret');
  const before = await checksumEveryTable(server);
  const first = await takeImage(server, `pgmoneta_${OLD}`);
  await server.sql('UPDATE in_odd SET z = z || 1 WHERE i < 100; CHECKPOINT');
  images = [first, await takeImage(server, `pgmoneta_${NEW}`)];
  checksums = [before, await checksumEveryTable(server)];
});
afterAll(() => server?.remove());

describe.each(FORMS)('a repository of 0.21 with compression %s, encrypted: %s', (codec, encrypted) => {
  let pgmoneta: Pgmoneta;

  beforeAll(async () => {
    // The configuration has moved on since: what is stored has to tell how it is to be read.
    pgmoneta = await Pgmoneta.create([section(server, role)], { compression: 'zstd', encryption: 'none' });
    const place = path.join(pgmoneta.repository, 'primary');
    const options = { major: 16, secret: masterSecret(pgmoneta.home) };
    layOut(place, images[0], { codec, encrypted, label: OLD }, options);
    layOut(place, images[1], { codec, encrypted, label: NEW, previous: OLD }, options);
    const who = identity();
    if (who) execFileSync('chown', ['-R', '-h', `${who.uid}:${who.gid}`, pgmoneta.repository]);
    await pgmoneta.start();
  });
  afterAll(() => pgmoneta?.remove());
  beforeEach(() => pgmoneta.clearRestored());

  test('is listed with its own codes', async () => {
    const { Backups } = await pgmoneta.must('list-backup', 'primary');
    expect(Backups.map(({ Backup, Valid }: { Backup: string; Valid: string }) => [Backup, Valid])).toEqual([
      [OLD, 'yes'],
      [NEW, 'yes'],
    ]);
    expect(Backups[0]).toMatchObject({ Compression: codec, Encryption: encrypted ? 'aes-256-gcm' : 'none' });
    const info = await pgmoneta.must('info', 'primary', OLD);
    expect(info.NumberOfTablespaces).toBe(2);
  });

  test.each([
    [OLD, 0],
    [NEW, 1],
  ] as const)('%s verifies, restores and starts', async (label, n) => {
    expect((await pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
    const directory = await pgmoneta.restore(label);
    if (referee(16)) expect(verifyBackup(directory, 16).output).toContain('successfully verified');
    expect(await proveRestored(16, directory, { checksums: checksums[n] })).toEqual([]);
  });

  test('one changed byte is found, in the backup that links to it too', async () => {
    const stored = path.join(pgmoneta.backupDirectory(OLD), 'data/base/1');
    const name = readdirSync(stored).find((file) => lstatSync(path.join(stored, file)).size > 100) ?? '';
    const file = path.join(stored, name);
    const script =
      'const fs = require("fs"), b = fs.readFileSync(process.argv[1]); b[90] ^= 1; fs.writeFileSync(process.argv[1], b)';
    const flip = () => execFileSync(process.execPath, ['-e', script, file]);
    flip();
    for (const label of [OLD, NEW]) expect((await pgmoneta.cli('verify', 'primary', label)).exit, label).toBe(3);
    flip();
  });

  test('a new backup stands beside the old ones', async () => {
    const label = await pgmoneta.backup();
    expect((await pgmoneta.must('verify', 'primary', label)).Files.Failed).toEqual({});
    await pgmoneta.must('delete', 'primary', label);
  });

  test('the older one can go: what the newer one linked to stays with it', async () => {
    await pgmoneta.must('delete', 'primary', OLD);
    expect(pgmoneta.backupsOnDisk()).toEqual([NEW]);
    expect((await pgmoneta.must('verify', 'primary', NEW)).Files.Failed).toEqual({});
    const directory = await pgmoneta.restore(NEW);
    expect(await proveRestored(16, directory, { checksums: checksums[1] })).toEqual([]);
    expect(readFileSync(path.join(pgmoneta.backupDirectory(NEW), 'backup.info'), 'utf8')).toContain('STATUS=1');
  });
});
