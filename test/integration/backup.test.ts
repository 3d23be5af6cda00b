import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';
import { addNoise } from '../support/workload.mjs';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 2000 } });
  await addNoise(scene.server, 8);
});
afterAll(() => scene?.close());

const backup = (label: string, ...parts: string[]) => path.join(scene.pgmoneta.backupDirectory(label), ...parts);

describe('what is written', () => {
  test('backup.info, backup.manifest, backup.sha512 and backup.json as specified', async () => {
    const label = await scene.pgmoneta.backup();
    const info = readFileSync(backup(label, 'backup.info'), 'utf8');
    expect(info).toMatch(/^PGMONETA_VERSION=.+\nSTATUS=1\nLABEL=\d{14}\nWAL=[0-9A-F]{24}\n/);
    expect(info).toMatch(/\nTABLESPACES=2\n/);
    expect(info).toMatch(/\nTYPE=0\nPARENT=\n/);
    expect(info.endsWith('\n')).toBe(true);
    const manifest = JSON.parse(readFileSync(backup(label, 'data', 'backup_manifest'), 'utf8'));
    const listed = readFileSync(backup(label, 'backup.manifest'), 'utf8').trimEnd().split('\n');
    expect(listed).toHaveLength(manifest.Files.length);
    const own = JSON.parse(readFileSync(backup(label, 'backup.json'), 'utf8'));
    expect(own.Version).toBe(1);
    expect(own.Backup.label).toBe(label);
    const paths = new Set(own.Files.map((file: { Path: string }) => file.Path));
    for (const { Path } of manifest.Files) if (Path !== undefined) expect(paths.has(Path), Path).toBe(true);
    const hashes = readFileSync(backup(label, 'backup.sha512'), 'utf8');
    for (const name of ['backup.info', 'backup.manifest', 'backup.json']) expect(hashes).toContain(`*./${name}\n`);
  });

  test('with manifest_checksums = sha512 the CSV has the hashes of the C program', async () => {
    await scene.reconfigure({ manifest_checksums: 'sha512' });
    const label = await scene.pgmoneta.backup();
    const [line = ''] = readFileSync(backup(label, 'backup.manifest'), 'utf8').split('\n');
    expect(line).toMatch(/^[^,]+,[0-9a-f]{128}$/);
    await scene.reconfigure({ manifest_checksums: 'crc32c' });
  });
});

describe('links', () => {
  test('unchanged files are hard links to the previous backup, changed files and WAL are not', async () => {
    const first = await scene.pgmoneta.backup();
    await scene.server.sql('UPDATE in_odd SET z = z || 1; CHECKPOINT');
    const second = await scene.pgmoneta.backup();
    const same = (name: string) => statSync(backup(first, name)).ino === statSync(backup(second, name)).ino;
    const noise = await scene.server.value(
      `SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'noise'`,
    );
    expect(same(`data/${noise}.zstd`)).toBe(true);
    expect(statSync(backup(second, 'data/global/pg_control.zstd')).nlink).toBe(1);
    const wal = readFileSync(backup(second, 'backup.info'), 'utf8').match(/^WAL=(.*)$/m)?.[1];
    expect(statSync(backup(second, `data/pg_wal/${wal}.zstd`)).nlink).toBe(1);
    expect(existsSync(backup(second, 'backup.info'))).toBe(true);
  });

  test('a backup survives the deletion of the one it shares files with', async () => {
    const [oldest] = scene.pgmoneta.backupsOnDisk();
    await scene.pgmoneta.must('delete', 'primary', String(oldest));
    for (const label of scene.pgmoneta.backupsOnDisk()) {
      expect((await scene.pgmoneta.must('verify', 'primary', label)).Files.Failed, label).toEqual({});
    }
  });

  test('a backup with another compression links nothing', async () => {
    await scene.reconfigure({ compression: 'lz4' });
    const label = await scene.pgmoneta.backup();
    expect(statSync(backup(label, 'data/PG_VERSION.lz4')).nlink).toBe(1);
    await scene.reconfigure({ compression: 'zstd' });
  });
});

describe('while one runs', () => {
  test('it is slow when max_rate says so, a second is refused, and a cancel ends it', async () => {
    await scene.reconfigure({ max_rate: 1_000_000 });
    const before = scene.pgmoneta.backupsOnDisk();
    const running = scene.pgmoneta.launch('pgmoneta-cli', [
      '-c',
      scene.pgmoneta.configuration,
      '-F',
      'json',
      'backup',
      'primary',
    ]);
    await until('a staged backup', () => scene.pgmoneta.stagingOnDisk().length > 0);
    const status = await scene.pgmoneta.must('status');
    expect(status.Servers[0].ActiveBackup).toBe(true);
    const second = await scene.pgmoneta.json('backup', 'primary');
    expect(second.exit).toBe(3);
    expect(second.document.Outcome.Error).toBe(102);
    expect(second.document.Outcome.Message).toMatch(/running/);
    const cancel = await scene.pgmoneta.json('cancel', 'primary');
    expect(cancel.exit).toBe(0);
    const result = await running.result;
    expect(result.exit).toBe(3);
    expect(JSON.parse(result.stdout).Outcome.Message).toMatch(/cancel/);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual(before);
    expect(scene.pgmoneta.stagingOnDisk()).toEqual([]);
  });

  test('a client that goes away does not end it', async () => {
    await scene.reconfigure({ max_rate: 20_000_000 });
    const before = scene.pgmoneta.backupsOnDisk();
    const running = scene.pgmoneta.launch('pgmoneta-cli', ['-c', scene.pgmoneta.configuration, 'backup', 'primary']);
    await until('a staged backup', () => scene.pgmoneta.stagingOnDisk().length > 0);
    running.child.kill('SIGKILL');
    await running.result;
    await until('the finished backup', () => scene.pgmoneta.backupsOnDisk().length === before.length + 1, {
      timeout: 120_000,
    });
    const { Files } = await scene.pgmoneta.must('verify', 'primary', 'newest');
    expect(Files.Failed).toEqual({});
    await scene.reconfigure({ max_rate: 0 });
  });

  test('two backups within a second have labels of their own', async () => {
    const labels = [await scene.pgmoneta.backup(), await scene.pgmoneta.backup(), await scene.pgmoneta.backup()];
    expect(new Set(labels).size).toBe(3);
    expect([...labels].sort()).toEqual(labels);
  });
});

describe('servers that cannot be backed up', () => {
  test('an unknown one', async () => {
    const result = await scene.pgmoneta.json('backup', 'nosuch');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(111);
  });

  test('a wrong password names the file to correct', async () => {
    await scene.server.sql(`ALTER ROLE "${scene.role.name}" PASSWORD 'another'`);
    const result = await scene.pgmoneta.json('backup', 'primary');
    expect(result.exit).toBe(3);
    expect(`${result.document.Outcome.Message} ${result.document.Outcome.Hint}`).toMatch(/password/i);
    await scene.server.sql(`ALTER ROLE "${scene.role.name}" PASSWORD '${scene.role.password.replaceAll("'", "''")}'`);
    await scene.pgmoneta.backup();
  });

  test('no REPLICATION attribute names the ALTER ROLE', async () => {
    await scene.server.sql(`ALTER ROLE "${scene.role.name}" NOREPLICATION`);
    const result = await scene.pgmoneta.json('backup', 'primary');
    expect(result.exit).toBe(3);
    expect(`${result.document.Outcome.Message} ${result.document.Outcome.Hint}`).toMatch(/REPLICATION/);
    await scene.server.sql(`ALTER ROLE "${scene.role.name}" REPLICATION`);
  });

  test('over the Unix socket it works too', async () => {
    const [section] = scene.pgmoneta.servers;
    Object.assign(section as object, { host: scene.server.socketDirectory });
    await scene.reconfigure({});
    await scene.pgmoneta.backup();
  });
});
