import { createDecipheriv, pbkdf2Sync } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Pgmoneta } from '../support/pgmoneta.mjs';

let pgmoneta: Pgmoneta;
let users: string;

beforeAll(() => {
  pgmoneta = new Pgmoneta({}, []);
  users = pgmoneta.users;
});
afterAll(() => pgmoneta?.remove());

const admin = (...args: string[]) => pgmoneta.program('pgmoneta-admin', args);
const withFile = (...args: string[]) => admin('-f', users, ...args);

/** Opens one line of a users file as pgmoneta 0.21 does, written from the specification alone. */
function open(line: string): { user: string; password: string } {
  const [key = '', salt = ''] = readFileSync(path.join(pgmoneta.home, '.pgmoneta', 'master.key'), 'utf8').split('\n');
  const secret = pbkdf2Sync(Buffer.from(key, 'base64'), Buffer.from(salt, 'base64'), 600_000, 64, 'sha256');
  const [user = '', text = ''] = line.split(':');
  const blob = Buffer.from(text, 'base64');
  const fileKey = pbkdf2Sync(secret, blob.subarray(0, 16), 1, 32, 'sha256');
  const cipher = createDecipheriv('aes-256-gcm', fileKey, blob.subarray(16, 28));
  cipher.setAuthTag(blob.subarray(-16));
  return { user, password: Buffer.concat([cipher.update(blob.subarray(28, -16)), cipher.final()]).toString('utf8') };
}

const stored = () => readFileSync(users, 'utf8').trimEnd().split('\n').map(open);

describe('master-key', () => {
  test('too short is refused, and leaves nothing behind', async () => {
    const result = await admin('master-key', '-P', 'short');
    expect(result.exit).toBe(3);
    expect(existsSync(path.join(pgmoneta.home, '.pgmoneta', 'master.key'))).toBe(false);
  });

  test('is written as 0.21 writes it, 0600 in 0700', async () => {
    const result = await pgmoneta.program('pgmoneta-admin', ['master-key'], {
      env: { PGMONETA_PASSWORD: 'ein Schlüssel' },
    });
    expect(result.exit).toBe(0);
    const file = path.join(pgmoneta.home, '.pgmoneta', 'master.key');
    const [key = '', salt = '', rest] = readFileSync(file, 'utf8').split('\n');
    expect(Buffer.from(key, 'base64').toString('utf8')).toBe('ein Schlüssel');
    expect(Buffer.from(salt, 'base64')).toHaveLength(16);
    expect(rest).toBe('');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    expect(result.stdout).not.toContain('ein Schlüssel');
  });

  test('is never replaced', async () => {
    const result = await admin('master-key', '-P', 'another master key');
    expect(result.exit).toBe(3);
    expect(result.stderr).toContain('master.key');
  });
});

describe('user', () => {
  test('add, with every source of a password', async () => {
    expect((await withFile('-U', 'one', '-P', 'pa:ss#w;ö', 'user', 'add')).exit).toBe(0);
    const environment = { env: { PGMONETA_PASSWORD: 'from the environment' } };
    expect(
      (await pgmoneta.program('pgmoneta-admin', ['-f', users, '-U', 'two', 'user', 'add'], environment)).exit,
    ).toBe(0);
    const generated = await withFile('-U', 'three', '-g', '-l', '100', 'user', 'add');
    expect(generated.exit).toBe(0);
    const long = 'x'.repeat(3000);
    expect((await withFile('user', 'add', '-U', 'four', `--password=${long}`)).exit).toBe(0);
    const [one, two, three, four] = stored();
    expect(one).toEqual({ user: 'one', password: 'pa:ss#w;ö' });
    expect(two).toEqual({ user: 'two', password: 'from the environment' });
    expect(three?.password).toHaveLength(100);
    expect(generated.stdout).toContain(String(three?.password));
    expect(four?.password).toBe(long);
    expect(statSync(users).mode & 0o777).toBe(0o600);
  });

  test('add twice is refused', async () => {
    const result = await withFile('-U', 'one', '-P', 'other', 'user', 'add');
    expect(result.exit).toBe(3);
    expect(result.stderr).toContain('one');
    expect(stored()[0]?.password).toBe('pa:ss#w;ö');
  });

  test('edit and del keep the others, however long their lines', async () => {
    expect((await withFile('-U', 'four', '-P', 'short now', 'user', 'edit')).exit).toBe(0);
    expect((await withFile('-U', 'two', 'user', 'del')).exit).toBe(0);
    expect(stored().map(({ user }) => user)).toEqual(['one', 'three', 'four']);
    expect(stored()[2]?.password).toBe('short now');
  });

  test('ls as text and JSON', async () => {
    expect((await withFile('user', 'ls')).stdout).toMatch(/one\n/);
    const json = await withFile('-F', 'json', 'user', 'ls');
    expect(JSON.parse(json.stdout).Response.Users).toEqual(['one', 'three', 'four']);
  });

  test.each([
    [['user', 'edit', '-U', 'nobody', '-P', 'x']],
    [['user', 'del', '-U', 'nobody']],
    [['user', 'add', '-U', 'a:b', '-P', 'x']],
  ])('%j is refused', async (args) => {
    const result = await withFile(...args);
    expect(result.exit).toBe(3);
    expect(result.stderr).not.toBe('');
  });

  test('without a file is a mistake of usage', async () => {
    const result = await admin('user', 'ls');
    expect(result.exit).toBe(1);
    expect(result.stderr).toContain('Missing file argument');
  });
});
