import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN } from '../../../src/programs/pgmoneta-admin/program.js';
import { readMasterKey, readVault } from '../../../src/security/index.js';
import { runIn } from './run-program.js';

let home = '';
let file = '';
const before = { HOME: process.env.HOME, PGMONETA_PASSWORD: process.env.PGMONETA_PASSWORD };
const admin = (...argv: string[]) => runIn(ADMIN, ...argv);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'admin-'));
  file = join(home, 'users.conf');
  process.env.HOME = home;
  delete process.env.PGMONETA_PASSWORD;
});

afterEach(async () => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await rm(home, { recursive: true, force: true });
});

describe('pgmoneta-admin', () => {
  it('creates a master key once', async () => {
    const created = await admin('-P', 'correct horse', 'master-key');
    expect(created.exit).toBe(0);
    expect(created.stdout).toMatch(/^Header:\n {2}ClientVersion: 0\.21\.0\n {2}Command: 100\n/);
    expect((await readMasterKey(home)).password.toString()).toBe('correct horse');
    const again = await admin('-g', 'master-key');
    expect(again.exit).toBe(3);
    expect(again.stderr).toContain('Cannot generate master key');
    expect(again.stdout).toContain('  Error: 1\n');
    expect((await readMasterKey(home)).password.toString()).toBe('correct horse');
  });

  it('never prints a generated master key, and leaves nothing behind a bad one', async () => {
    const bad = await admin('-P', 'short', 'master-key');
    expect(bad.exit).toBe(3);
    await expect(stat(join(home, '.pgmoneta', 'master.key'))).rejects.toThrow('ENOENT');
    const { stdout } = await admin('-g', '-l', '40', 'master-key');
    const { password } = await readMasterKey(home);
    expect(password).toHaveLength(40);
    expect(stdout).not.toContain(password.toString());
  });

  it('adds, changes, lists and removes users', async () => {
    await admin('-P', 'correct horse', 'master-key');
    const users = async () => Object.fromEntries(await readVault(file, await readMasterKey(home)));
    const added = await admin('-f', file, '-U', 'repl', '-P', 'one', '-F', 'json', 'user', 'add');
    expect(JSON.parse(added.stdout)).toMatchObject({
      Header: { Command: 101, Output: 1 },
      Outcome: { Status: true },
      Response: { Users: ['repl'] },
    });
    process.env.PGMONETA_PASSWORD = 'two';
    expect((await admin(`--file=${file}`, 'user', 'edit', '--user=repl')).exit).toBe(0);
    expect(await users()).toEqual({ repl: 'two' });
    const generated = await admin('-f', file, '-U', 'backup', '-g', '-l', '12', 'user', 'add');
    const shown = /^Password : (.{12})$/m.exec(generated.stdout)?.[1];
    expect(await users()).toEqual({ repl: 'two', backup: shown });
    expect((await admin('-f', file, 'user', 'ls')).stdout).toMatch(/^repl\nbackup\nHeader:\n/);
    expect(JSON.parse((await admin('-f', file, '-F', 'json', 'user', 'ls')).stdout).Response.Users).toEqual([
      'repl',
      'backup',
    ]);
    expect((await admin('-f', file, '-U', 'repl', 'user', 'del')).stdout).toContain('  Users:\n    - backup\n');
    expect(await readFile(file, 'utf8')).toMatch(/^backup:/);
  });

  it('refuses with a result, a reason and exit code 3', async () => {
    await admin('-P', 'correct horse', 'master-key');
    await admin('-f', file, '-U', 'repl', '-P', 'one', 'user', 'add');
    const twice = await admin('-f', file, '-U', 'repl', '-P', 'one', '-F', 'json', 'user', 'add');
    expect(twice.exit).toBe(3);
    expect(JSON.parse(twice.stdout).Outcome).toMatchObject({ Status: false, Error: 1, Workflow: 'admin' });
    expect(twice.stderr).toContain('pgmoneta-admin: Error for <user add>: Existing user: repl\nhint: ');
    expect(twice.stderr + twice.stdout).not.toContain('one"');
  });

  it.each([
    [['user', 'ls'], 'Missing file argument'],
    [['user'], "Command 'user' requires a subcommand"],
    [['user', 'lst'], "Unknown subcommand 'lst' for command 'user'"],
    [['-g', '-l', 'x', 'master-key'], 'Invalid password length: x'],
    [['master-key', 'now'], "Too many arguments provided for command 'master-key'"],
  ])('exits with 1 for %j', async (argv, message) => {
    const { exit, stderr } = await admin(...argv);
    expect(stderr).toContain(message);
    expect(exit).toBe(1);
  });
});
