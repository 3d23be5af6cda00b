import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pgmoneta } from '../support/pgmoneta.mjs';
import { alive, until } from '../support/processes.mjs';
import { give, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';

let scene: Scene;
let pgmoneta: Pgmoneta;

beforeAll(async () => {
  scene = await Scene.open(17, { workload: { rows: 1000 } });
  pgmoneta = scene.pgmoneta;
});
afterAll(() => scene?.close());

const pidFile = () =>
  path.join(pgmoneta.run, readdirSync(pgmoneta.run).find((name) => name.endsWith('.pid')) ?? 'no.pid');

/** Runs a second daemon to its end. */
const daemon = (...args: string[]) =>
  pgmoneta.program('pgmoneta', ['-c', pgmoneta.configuration, '-u', pgmoneta.users, ...args], { timeout: 20_000 });

describe('while it runs', () => {
  test('its socket is its own, and its PID file tells who it is', () => {
    expect(statSync(pgmoneta.socket).mode & 0o777).toBe(0o600);
    expect(readFileSync(pidFile(), 'utf8')).toBe(`${pgmoneta.pid}\n`);
  });

  test('a second one is refused', async () => {
    const result = await daemon();
    expect(result.exit).toBe(1);
    expect(result.stderr + result.stdout).toContain(String(pgmoneta.pid));
    expect((await pgmoneta.json('ping')).exit).toBe(0);
  });

  test('a second one on the same repository with its own socket is refused', async () => {
    const run = makeDirectory(path.join(pgmoneta.base, 'run2'));
    const text = readFileSync(pgmoneta.configuration, 'utf8').replaceAll(pgmoneta.run, run);
    const file = path.join(pgmoneta.conf, 'second.conf');
    writeFileSync(file, text, { mode: 0o600 });
    give(file);
    const result = await pgmoneta.program('pgmoneta', ['-c', file, '-u', pgmoneta.users], { timeout: 20_000 });
    expect(result.exit).toBe(1);
    expect(result.stderr + result.stdout).toContain(pgmoneta.repository);
  });

  test('a peer that sends nonsense, nothing or half a frame disturbs nobody', async () => {
    const peers = ['GET / HTTP/1.1\r\n\r\n', '', '\u0000\u0000', '\u0000\u0000\u00ff\u00ff\u00ff\u00ff{'].map(
      (text) => {
        const socket = net.createConnection(pgmoneta.socket);
        socket.on('error', () => {});
        socket.write(Buffer.from(text, 'latin1'));
        return socket;
      },
    );
    expect((await pgmoneta.json('ping')).exit).toBe(0);
    for (const peer of peers) peer.destroy();
    expect((await pgmoneta.json('ping')).exit).toBe(0);
  });
});

describe('its end', () => {
  test('SIGTERM: exit code 0, socket and PID file gone', async () => {
    const file = pidFile();
    expect(await pgmoneta.stop()).toEqual({ code: 0, signal: null });
    expect(existsSync(pgmoneta.socket)).toBe(false);
    expect(existsSync(file)).toBe(false);
    await pgmoneta.start();
  });

  test('shutdown through the client', async () => {
    const pid = pgmoneta.pid as number;
    await pgmoneta.cli('shutdown');
    // A signal while it is ending would end it in another way.
    await until('the end of the daemon', () => !alive(pid));
    expect((await pgmoneta.stop())?.code).toBe(0);
    await pgmoneta.start();
  });

  test('a stop during a backup ends the job, keeps nothing of it, and says so to the client', async () => {
    await pgmoneta.stop();
    pgmoneta.configure({ max_rate: 1_000_000 });
    await pgmoneta.start();
    const backups = pgmoneta.backupsOnDisk();
    const running = pgmoneta.launch('pgmoneta-cli', ['-c', pgmoneta.configuration, '-F', 'json', 'backup', 'primary']);
    await until('a staged backup', () => pgmoneta.stagingOnDisk().length > 0);
    const jobs = pgmoneta.jobs();
    expect((await pgmoneta.stop())?.code).toBe(0);
    const result = await running.result;
    expect(result.exit).not.toBe(0);
    expect(result.stdout + result.stderr).not.toBe('');
    expect(jobs.filter(alive)).toEqual([]);
    expect(pgmoneta.backupsOnDisk()).toEqual(backups);
    expect(pgmoneta.stagingOnDisk()).toEqual([]);
    pgmoneta.configure({ max_rate: 0 });
    await pgmoneta.start();
    await pgmoneta.backup();
  });
});

describe('its start', () => {
  test('recognises the stale PID file and socket of a crashed one', async () => {
    await pgmoneta.kill();
    expect(existsSync(pidFile())).toBe(true);
    await pgmoneta.start();
    expect(readFileSync(pidFile(), 'utf8')).toBe(`${pgmoneta.pid}\n`);
  });

  test('sweeps what a killed job left', async () => {
    await pgmoneta.kill();
    const left = path.join(pgmoneta.repository, 'primary', '.staging', '20260101000000');
    mkdirSync(left, { recursive: true });
    writeFileSync(path.join(left, 'half'), 'x');
    give(left);
    give(path.join(left, 'half'));
    await pgmoneta.start();
    expect(pgmoneta.stagingOnDisk()).toEqual([]);
  });

  test('-d goes to the background, with everything in place', async () => {
    await pgmoneta.stop();
    pgmoneta.configure({ log_type: 'file', log_path: path.join(pgmoneta.base, 'own.log') });
    const result = await daemon('-d');
    expect(result.stderr).toBe('');
    expect(result.exit).toBe(0);
    await until('the socket', () => existsSync(pgmoneta.socket));
    await until('an answer', async () => (await pgmoneta.json('ping')).exit === 0);
    const pid = Number(readFileSync(pidFile(), 'utf8'));
    expect(statSync(pgmoneta.socket).mode & 0o777).toBe(0o600);
    await pgmoneta.cli('shutdown');
    await until('its end', () => !alive(pid));
    pgmoneta.configure({ log_type: 'console' });
  });

  test('-d with console logging is refused', async () => {
    const result = await daemon('-d');
    expect(result.exit).toBe(1);
    expect(result.stderr).toMatch(/log_type/);
  });

  test('does not happen half configured: every mistake is named at once', async () => {
    const text = readFileSync(pgmoneta.configuration, 'utf8');
    pgmoneta.writeConfiguration(
      `${text}\nno_such_key = 1\nworkers = many\n[primary]\nhost = again\n[lonely]\nport = 1\n`,
    );
    const result = await daemon();
    expect(result.exit).toBe(1);
    for (const what of [/no_such_key/, /many/, /primary/, /lonely/, /pgmoneta\.conf:\d+/])
      expect(result.stderr).toMatch(what);
    pgmoneta.writeConfiguration(text);
  });

  test.each([
    ['users', ['-u', '/no/such/users'], /\/no\/such\/users/],
    ['configuration', ['-c', '/no/such/conf'], /\/no\/such\/conf/],
  ])('without its %s file is refused, naming the path', async (_name, args, message) => {
    const result = await pgmoneta.program('pgmoneta', ['-c', pgmoneta.configuration, '-u', pgmoneta.users, ...args], {
      timeout: 20_000,
    });
    expect(result.exit).toBe(1);
    expect(result.stderr).toMatch(message);
  });

  test.runIf(process.getuid?.() === 0)('as root is refused', () => {
    const bin = path.resolve(import.meta.dirname, '../../bin/pgmoneta.js');
    const result = spawnSync(process.execPath, [bin, '-c', pgmoneta.configuration, '-u', pgmoneta.users], {
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...process.env, HOME: pgmoneta.home },
    });
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/root/);
  });

  test('from a directory given by -D or PGMONETA_CONFIG_DIR', async () => {
    for (const [args, env] of [
      [['-D', pgmoneta.conf], {}],
      [[], { PGMONETA_CONFIG_DIR: pgmoneta.conf }],
    ] as const) {
      const running = pgmoneta.launch('pgmoneta', [...args], { env });
      await until('the socket', async () => (await pgmoneta.json('ping')).exit === 0);
      running.child.kill('SIGTERM');
      expect((await running.result).exit).toBe(0);
    }
  });

  test('from pgmoneta.toml', async () => {
    const other = makeDirectory(path.join(pgmoneta.base, 'toml'));
    const { host, port } = scene.server;
    const toml = [
      '[pgmoneta]',
      'host = "127.0.0.1"',
      `unix_socket_dir = "${pgmoneta.run}"`,
      `base_dir = "${pgmoneta.repository}"`,
      'compression = "zstd"',
      '[primary]',
      `host = "${host}"`,
      `port = ${port}`,
      `user = "${scene.role.name}"`,
      'wal_slot = "pgmoneta"',
    ];
    const file = path.join(other, 'pgmoneta.toml');
    writeFileSync(file, `${toml.join('\n')}\n`, { mode: 0o600 });
    give(file);
    const running = pgmoneta.launch('pgmoneta', ['-D', other, '-u', pgmoneta.users]);
    await until('the socket', () => existsSync(pgmoneta.socket));
    await until('an answer', async () => (await pgmoneta.json('ping')).exit === 0);
    running.child.kill('SIGTERM');
    expect((await running.result).exit).toBe(0);
  });
});
