import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
let first: string;
let second: string;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 1000 } });
  first = await scene.pgmoneta.backup();
  second = await scene.pgmoneta.backup();
});
afterAll(() => scene?.close());

describe('ping', () => {
  test('answers with the version', async () => {
    const result = await scene.pgmoneta.json('ping');
    expect(result.exit).toBe(0);
    expect(result.document.Outcome.Status).toBe(true);
    expect(result.document.Response.ServerVersion).toMatch(/^0\.21/);
    expect(result.document.Header.Command).toBe('ping');
  });

  test('over a compressed and encrypted link', async () => {
    for (const compression of ['none', 'gz', 'zstd', 'lz4', 'bz2']) {
      const result = await scene.pgmoneta.json('-C', compression, '-E', 'aes256', 'ping');
      expect(result.document?.Outcome.Status, compression).toBe(true);
    }
  });

  test('options stand anywhere, with a blank or =', async () => {
    const configuration = scene.pgmoneta.configuration;
    for (const args of [
      ['ping', '-c', configuration, '-F', 'json'],
      [`-c=${configuration}`, 'ping', '--format=json'],
      ['-F=json', 'ping', `--config=${configuration}`],
    ]) {
      const result = await scene.pgmoneta.program('pgmoneta-cli', args);
      expect(JSON.parse(result.stdout).Outcome.Status, args.join(' ')).toBe(true);
    }
  });

  test('without a daemon ends with 2 and says which socket', async () => {
    const result = await scene.pgmoneta.program('pgmoneta-cli', ['-c', '/no/such/file.conf', 'ping']);
    expect(result.exit).not.toBe(0);
    expect(result.stderr).toContain('/no/such/file.conf');
  });

  test('-F text is the documented tree', async () => {
    const { stdout, exit } = await scene.pgmoneta.cli('ping');
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Header:\n {2}ClientVersion: /);
    expect(stdout).toMatch(/\nOutcome:\n {2}Status: true\n {2}Time: \d\d:\d\d:\d/);
  });

  test('-V and -? end with 0', async () => {
    for (const program of ['pgmoneta', 'pgmoneta-cli', 'pgmoneta-admin'] as const) {
      for (const option of ['-V', '-?']) {
        const result = await scene.pgmoneta.program(program, [option]);
        expect(result.exit, `${program} ${option}: ${result.stderr}`).toBe(0);
        expect(result.stdout).toContain(program);
      }
    }
  });

  test('a mistyped command is met with what was meant, and exit code 1', async () => {
    const result = await scene.pgmoneta.cli('lst-backup', 'primary');
    expect(result.exit).toBe(1);
    expect(result.stderr).toContain('list-backup');
  });

  test.each([[['backup']], [['backup', 'a', 'b', 'c']], [['status', 'foo']], [[]], [['--no-such-option', 'ping']]])(
    '%j is a mistake of usage',
    async (args) => {
      const result = await scene.pgmoneta.cli(...args);
      expect(result.exit).toBe(1);
      expect(result.stderr + result.stdout).not.toBe('');
    },
  );
});

describe('list-backup', () => {
  const labels = (response: { Backups: { Backup: string }[] }) => response.Backups.map(({ Backup }) => Backup);

  test('lists ascending, and descending when asked', async () => {
    expect(labels(await scene.pgmoneta.must('list-backup', 'primary'))).toEqual([first, second]);
    expect(labels(await scene.pgmoneta.must('list-backup', 'primary', '--sort', 'asc'))).toEqual([first, second]);
    expect(labels(await scene.pgmoneta.must('list-backup', 'primary', '--sort', 'desc'))).toEqual([second, first]);
  });

  test('has the documented keys', async () => {
    const response = await scene.pgmoneta.must('list-backup', 'primary');
    expect(response.NumberOfBackups).toBe(2);
    expect(Object.keys(response.Backups[0])).toEqual(
      expect.arrayContaining([
        'Backup',
        'BackupSize',
        'BiggestFileSize',
        'Comments',
        'Compression',
        'Delta',
        'Encryption',
        'Incremental',
        'IncrementalParent',
        'Keep',
        'RestoreSize',
        'Server',
        'Valid',
        'WAL',
      ]),
    );
    expect(response.Backups[0].Valid).toBe('yes');
    expect(response.Backups[0].RestoreSize).toMatch(/^\d+\.\d\d[kMG]?B$/);
  });

  test('refuses another order and an unknown server', async () => {
    const order = await scene.pgmoneta.cli('list-backup', 'primary', '--sort', 'sideways');
    expect(order.exit).not.toBe(0);
    const server = await scene.pgmoneta.json('list-backup', 'nosuch');
    expect(server.exit).toBe(3);
    expect(server.document.Outcome.Error).toBe(304);
  });

  test('raw has numbers', async () => {
    const { stdout } = await scene.pgmoneta.cli('-F', 'raw', 'list-backup', 'primary');
    const [backup] = JSON.parse(stdout).Response.Backups;
    expect(backup.Valid).toBe(1);
    expect(backup.RestoreSize).toBeGreaterThan(20_000_000);
    expect(backup.Compression & 0x0f).toBe(2);
  });
});

describe('info', () => {
  test('shows positions, timeline, tablespaces and the first WAL file', async () => {
    const response = await scene.pgmoneta.must('info', 'primary', 'newest');
    expect(response.Backup).toBe(second);
    expect(response.WAL).toMatch(/^[0-9A-F]{24}$/);
    expect(response.StartTimeline).toBe(1);
    expect(response.NumberOfTablespaces).toBe(2);
    expect(response.StartLoLSN).toMatch(/^[0-9A-F]+$/);
    expect(response.MajorVersion).toBe(17);
    const { stdout } = await scene.pgmoneta.cli('-F', 'raw', 'info', 'primary', 'newest');
    expect(JSON.parse(stdout).Response.Elapsed).toBeGreaterThan(0);
  });

  test.each([
    ['nosuch', 'newest', 2201],
    ['primary', '20010101000000', 2200],
    ['primary', '../..', 2200],
  ])('%s %s is refused with %i', async (server, label, number) => {
    const result = await scene.pgmoneta.json('info', server, label);
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(number);
    expect(result.document.Outcome.Message).not.toBe('');
    expect(result.stderr).not.toBe('');
  });
});

describe('status', () => {
  test('shows space and servers', async () => {
    const response = await scene.pgmoneta.must('status');
    expect(response.NumberOfServers).toBe(1);
    expect(response.Servers[0]).toMatchObject({
      Server: 'primary',
      Online: true,
      NumberOfBackups: 2,
      ActiveBackup: false,
    });
    expect(response.FreeSpace).toMatch(/B$/);
  });

  test('details lists the backups', async () => {
    const response = await scene.pgmoneta.must('status', 'details');
    expect(response.Servers[0].Backups).toHaveLength(2);
    expect(response.Servers[0].Primary).toBe(true);
    expect(response.Servers[0].Checksums).toBe(true);
  });
});

describe('mode', () => {
  test('offline refuses backups, online takes them again', async () => {
    expect((await scene.pgmoneta.must('mode', 'primary', 'offline')).Online).toBe(false);
    const refused = await scene.pgmoneta.json('backup', 'primary');
    expect(refused.exit).toBe(3);
    expect(refused.document.Outcome.Error).toBe(110);
    expect(refused.document.Outcome.Hint ?? refused.stderr).toMatch(/online/);
    expect((await scene.pgmoneta.must('mode', 'primary', 'online')).Online).toBe(true);
    await scene.pgmoneta.must('backup', 'primary');
  });

  test('anything else is refused', async () => {
    expect((await scene.pgmoneta.cli('mode', 'primary', 'sideways')).exit).not.toBe(0);
  });
});

describe('delete', () => {
  test('takes exactly the named backup away; the others restore', async () => {
    const before = scene.pgmoneta.backupsOnDisk();
    expect((await scene.pgmoneta.must('delete', 'primary', first)).Backup).toBe(first);
    expect(scene.pgmoneta.backupsOnDisk()).toEqual(before.filter((label: string) => label !== first));
    expect((await scene.pgmoneta.must('verify', 'primary', second)).Files.Failed).toEqual({});
  });

  test('of an unknown label is refused with 505', async () => {
    const result = await scene.pgmoneta.json('delete', 'primary', '20010101000000');
    expect(result.exit).toBe(3);
    expect(result.document.Outcome.Error).toBe(505);
  });
});
