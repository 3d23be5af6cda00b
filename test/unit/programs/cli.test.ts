import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import { isJsonObject, type ManagementHandler, ManagementListener } from '../../../src/management/index.js';
import { CLI } from '../../../src/programs/pgmoneta-cli/program.js';
import { REPLIES } from './documents.js';
import { type ProgramRun, runIn } from './run-program.js';

let directory = '';
let conf = '';
let listener: ManagementListener | undefined;
let requests: { name: string; request: object }[] = [];
const log = { info: () => undefined, warn: () => undefined };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-'));
  conf = join(directory, 'cli.conf');
  await writeFile(conf, `unix_socket_dir = ${directory}\n`);
  requests = [];
});

afterEach(async () => {
  await listener?.close({ graceMs: 0 });
  listener = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function daemon(handler: ManagementHandler = async () => ({ response: {} })): Promise<void> {
  listener = new ManagementListener({
    socketPath: join(directory, '.s.pgmoneta'),
    log,
    handler: (request) => {
      requests.push({ name: request.name, request: request.request });
      return handler(request);
    },
  });
  await listener.listen();
}

const cli = (...argv: string[]): Promise<ProgramRun> => runIn(CLI, '-c', conf, ...argv);
const refuse = (error: PgmonetaError) => async () => {
  throw error;
};

describe('pgmoneta-cli', () => {
  it('asks the daemon and prints its answer', async () => {
    await daemon();
    const { exit, stdout, stderr } = await cli('ping');
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Header:\n {2}ClientVersion: 0\.21\.0\n {2}Command: ping\n/);
    expect(stdout).not.toContain('Protocol');
    expect(stderr).toBe('');
  });

  it.each([
    [['backup', 'p'], 'backup', { Server: 'p', Backup: null }],
    [['backup', 'p', 'newest'], 'backup', { Server: 'p', Backup: 'newest' }],
    [['backup', '--require-wal', 'p'], 'backup', { Server: 'p', Backup: null, RequireWal: true }],
    [['list-backup', 'p'], 'list-backup', { Server: 'p', Sort: 'asc' }],
    [['list-backup', '-s', 'desc', 'p'], 'list-backup', { Server: 'p', Sort: 'desc' }],
    [['info', 'p', 'oldest'], 'info', { Server: 'p', Backup: 'oldest' }],
    [['restore', 'p', 'newest', '/r'], 'restore', { Server: 'p', Backup: 'newest', Position: null, Directory: '/r' }],
    [
      ['restore', 'p', 'newest', 'current', '/r', '--tablespace-map', 'ts=/t', '--relative-links', '--force'],
      'restore',
      {
        Server: 'p',
        Backup: 'newest',
        Position: 'current',
        Directory: '/r',
        TablespaceMap: { ts: '/t' },
        RelativeLinks: true,
        Force: true,
      },
    ],
    [['verify', 'p', 'newest'], 'verify', { Server: 'p', Backup: 'newest', Directory: null, Files: 'failed' }],
    [
      ['verify', 'p', 'newest', 'all', '--pages'],
      'verify',
      { Server: 'p', Backup: 'newest', Directory: null, Files: 'all', Pages: true },
    ],
    [
      ['verify', 'p', 'newest', '/v', 'all'],
      'verify',
      { Server: 'p', Backup: 'newest', Directory: '/v', Files: 'all' },
    ],
    [['delete', 'p', 'oldest'], 'delete', { Server: 'p', Backup: 'oldest', Force: false }],
    [['delete', '--force', 'p', 'oldest'], 'delete', { Server: 'p', Backup: 'oldest', Force: true }],
    [['mode', 'p', 'offline'], 'mode', { Server: 'p', Action: 'offline' }],
    [['cancel', 'p'], 'cancel', { Server: 'p' }],
    [['status', 'details'], 'status details', {}],
    [['conf', 'reload'], 'conf reload', {}],
    [['conf', 'set', 'retention', '-,4,-,-'], 'conf set', { ConfigKey: 'retention', ConfigValue: '-,4,-,-' }],
    [['compress', '/f'], 'compress', { SourceFile: '/f' }],
  ])('sends for %j the request %s', async (argv, name, request) => {
    await daemon();
    expect((await cli(...argv)).exit).toBe(0);
    expect(requests.at(-1)).toEqual({ name, request });
  });

  it('makes relative paths absolute: the daemon has another working directory', async () => {
    await daemon();
    await cli('restore', 'p', 'newest', 'r');
    await cli('encrypt', 'f');
    expect(requests.map(({ request }) => request)).toMatchObject([
      { Directory: join(process.cwd(), 'r') },
      { SourceFile: join(process.cwd(), 'f') },
    ]);
  });

  it('tells a failure on standard error and by its exit code', async () => {
    await daemon(refuse(new PgmonetaError('BACKUP_OFFLINE', "server 'p' is offline", { hint: 'mode p online' })));
    const { exit, stdout, stderr } = await cli('-v', 'backup', 'p');
    expect(exit).toBe(3);
    expect(stdout).toContain(
      "  Error: 110\n  Hint: mode p online\n  Message: server 'p' is offline\n  Status: false\n",
    );
    expect(stderr).toBe("error 110: server 'p' is offline\nhint: mode p online\nError (110)\n");
    expect((await cli('--exit-zero', 'backup', 'p')).exit).toBe(0);
    const quiet = await cli('--quiet', 'backup', 'p');
    expect(quiet.stdout).toBe('');
    expect(quiet.stderr).toContain('error 110');
  });

  it('prints JSON, and nothing else on standard output', async () => {
    await daemon();
    const { stdout, stderr } = await cli('-F', 'json', '-v', 'ping');
    expect(JSON.parse(stdout)).toMatchObject({
      Header: { Command: 'ping', Output: 'json' },
      Outcome: { Status: true },
    });
    expect(stderr).toBe('Success (0)\n');
  });

  it('appends messages to a log file', async () => {
    await daemon();
    const file = join(directory, 'cli.log');
    await cli('-v', '-L', file, 'ping');
    expect(await readFile(file, 'utf8')).toMatch(/^\d{14} pgmoneta-cli: Success \(0\)\n$/);
  });

  it('exits with 2 when nobody listens, and says what to do', async () => {
    const { exit, stderr } = await cli('ping');
    expect(exit).toBe(2);
    expect(stderr).toContain(`pgmoneta-cli: Failed to connect via Unix socket at '${directory}/.s.pgmoneta'`);
    expect(stderr).toContain('hint: start the daemon');
  });

  it.each([
    [['-h', 'db1', '-p', '5001', 'ping'], 'over its Unix socket only'],
    [['-P', 'x', 'ping'], 'over its Unix socket only'],
    [['restore', 'p', 'newest', '/r', '--tablespace-map', 'x'], 'is not of the form OID|NAME|PATH=DIR'],
    [['restore', 'p', 'newest', '/r', '--tablespace-map', 'x=rel'], 'must be absolute'],
    [['restore', 'p', 'newest', '/r', '--tablespace-map', 'x=/a', '--tablespace-map', 'x=/b'], 'names x twice'],
    [['ping', '--sort', 'asc'], "Option --sort does not belong to command 'ping'"],
    [['verify', 'p', 'newest', '/v', 'some'], 'one of: failed, all'],
    [['status', 'foo'], "Too many arguments provided for command 'status'"],
  ])('exits with 1 for %j', async (argv, message) => {
    const { exit, stderr } = await cli(...argv);
    expect(stderr).toContain(message);
    expect(exit).toBe(1);
  });

  it('prints its version and exits with 0', async () => {
    const { exit, stdout } = await runIn(CLI, '-V');
    expect(stdout).toMatch(/^pgmoneta-cli \d+\.\d+\.\d+\n$/);
    expect(exit).toBe(0);
  });
});

describe('the configuration file', () => {
  it('may be that of the daemon', async () => {
    await writeFile(
      conf,
      `[pgmoneta]\nhost = *\nunix_socket_dir = ${directory}\ncompression = zstd\n\n[p]\nhost = x\n`,
    );
    await daemon();
    expect((await cli('ping')).exit).toBe(0);
  });

  it('is found through PGMONETA_CONFIG_DIR', async () => {
    await writeFile(join(directory, 'pgmoneta.conf'), `[pgmoneta]\nunix_socket_dir = "${directory}"\n`);
    await daemon();
    const before = process.env.PGMONETA_CONFIG_DIR;
    process.env.PGMONETA_CONFIG_DIR = directory;
    try {
      expect((await runIn(CLI, 'ping')).exit).toBe(0);
    } finally {
      if (before === undefined) delete process.env.PGMONETA_CONFIG_DIR;
      else process.env.PGMONETA_CONFIG_DIR = before;
    }
  });

  it('gives the output format, which an option overrides', async () => {
    await writeFile(conf, `[any]\nunix_socket_dir = ${directory}\nOutput = json\n`);
    await daemon();
    expect((await cli('ping')).stdout).toMatch(/^\{/);
    expect((await cli('ping', '-F', 'text')).stdout).toMatch(/^Header:/);
  });

  it.each([
    ['', 'No connection information provided'],
    ['host = db1\nport = 5001\n', 'over its Unix socket only'],
    ['unix_socket_dir = /x\ncompression = snappy\n', 'compression = snappy is not known; allowed: none, gzip'],
    ['unix_socket_dir = /x\noutput = xml\n', 'output = xml is not known'],
    ['a\0b', 'contains binary data'],
  ])('is refused when it says %j', async (text, message) => {
    await writeFile(conf, text);
    const { exit, stderr } = await cli('ping');
    expect(stderr).toContain(message);
    expect(exit).toBe(1);
  });

  it('must exist when it is named', async () => {
    const { exit, stderr } = await runIn(CLI, '-c', join(directory, 'nosuch'), 'ping');
    expect(stderr).toContain(`Configuration file not found or not a regular file: ${directory}/nosuch`);
    expect(exit).toBe(1);
  });
});

describe('conf get', () => {
  const serve = () =>
    daemon(async () => {
      const { Response } = REPLIES.confGet();
      return { response: isJsonObject(Response) ? Response : {} };
    });

  it.each([
    ['compression', 'zstd\n'],
    ['pgmoneta.backlog', '16\n'],
    ['blocking_timeout', '30s\n'],
    ['azure_base_dir', '\n'],
    ['server.primary.port', '5432\n'],
    ['server.my.db.port', '5433\n'],
    ['server.primary', 'compression: none\ncreate_slot: 0\nhost: 127.0.0.1\nport: 5432\n'],
  ])('prints just the value of %s', async (key, text) => {
    await serve();
    expect(await cli('conf', 'get', key)).toEqual({ exit: 0, stdout: text, stderr: '' });
    expect((await cli('-F', 'raw', 'conf', 'get', key)).stdout).toBe(text);
  });

  it('prints the whole envelope as JSON, reduced to the key', async () => {
    await serve();
    const { stdout } = await cli('-F', 'json', 'conf', 'get', 'blocking_timeout');
    expect(JSON.parse(stdout).Response).toEqual({ blocking_timeout: { string_value: '30s', value: 30 } });
  });

  it('refuses a key that is not there, and suggests another', async () => {
    await serve();
    const { exit, stdout, stderr } = await cli('conf', 'get', 'compresion');
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: 'Error\n' });
    expect(stderr).toContain("has no key 'compresion'\nhint: did you mean compression?");
    const json = await cli('-F', 'json', 'conf', 'get', 'server.nosuch.port');
    expect(JSON.parse(json.stdout)).toMatchObject({ Outcome: { Status: false }, Response: {} });
    expect(json.exit).toBe(1);
  });
});

describe('conf set', () => {
  it('tells what was applied', async () => {
    await daemon(async () => ({ response: { status: 'success', old_value: 'info', new_value: 'debug' } }));
    expect((await cli('conf', 'set', 'log_level', 'debug')).stdout).toBe(`Configuration change applied successfully
   Parameter: log_level
   Old value: info
   New value: debug
   Status: Active (applied to running instance)
`);
  });

  it('tells what needs a restart', async () => {
    const response = { status: 'success_restart_required', current_value: '/a', requested_value: '/b' };
    await daemon(async () => ({ response }));
    expect((await cli('conf', 'set', 'base_dir', '/b')).stdout).toBe(`Configuration change requires manual restart
   Parameter: base_dir
   Current value: /a (unchanged in running instance)
   Requested value: /b (cannot be applied to live instance)
   Status: Requires full service restart
`);
  });

  it('tells why it failed, and exits with 3', async () => {
    await daemon(refuse(new PgmonetaError('CONF_SET_UNKNOWN_KEY', "there is no key 'x'")));
    const { exit, stdout } = await cli('conf', 'set', 'x', 'y');
    expect(stdout).toBe("Configuration change failed\n   Parameter: x\n   Reason: there is no key 'x'\n");
    expect(exit).toBe(3);
  });

  it('prints the document as it came with json', async () => {
    await daemon();
    const { stdout } = await cli('-F', 'json', 'conf', 'set', 'x', 'y');
    expect(JSON.parse(stdout)).toMatchObject({
      Header: { Command: 23 },
      Request: { ConfigKey: 'x', ConfigValue: 'y' },
    });
  });
});
