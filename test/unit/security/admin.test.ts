import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addUser, deleteUser, editUser, listUsers } from '../../../src/security/admin.js';
import { withLockFile } from '../../../src/security/lock-file.js';
import { readMasterKey } from '../../../src/security/master-key.js';
import { generatePassword, PASSWORD_ALPHABET } from '../../../src/security/password.js';
import { openSmall, sealSmall } from '../../../src/security/sealed.js';
import { readVault } from '../../../src/security/vault.js';
import { refusal, temporaryDirectory } from '../temporary.js';

const SECRET = Buffer.from(
  '804c4fb0e49ffe15a375a8462a08f4b5b05bb9803dc0f98fd5611d79b8959611b1fd0f12ba621ecbe6ca73bb63e280718fc77d83adba9c559769ebbdba923b28',
  'hex',
);
const LINE = 'repl:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK1qMSwWiMIdEGbR2kKUABQ+vjGVnGlQ=';

function setUp(users?: string): { home: string; file: string } {
  const home = temporaryDirectory();
  mkdirSync(join(home, '.pgmoneta'), { mode: 0o700 });
  writeFileSync(join(home, '.pgmoneta', 'master.key'), 'c2VjcmV0cGFzc3dvcmQ=\nAAECAwQFBgcICQoLDA0ODw==\n', {
    mode: 0o600,
  });
  const file = join(home, 'users.conf');
  if (users !== undefined) writeFileSync(file, users, { mode: 0o644 });
  return { home, file };
}

async function passwords(home: string, file: string): Promise<Record<string, string>> {
  return Object.fromEntries(await readVault(file, await readMasterKey(home)));
}

describe('sealed blobs', () => {
  it('are byte for byte those of the specification', () => {
    const given = {
      salt: Buffer.from('101112131415161718191a1b1c1d1e1f', 'hex'),
      iv: Buffer.from('202122232425262728292a2b', 'hex'),
    };
    expect(`repl:${sealSmall(SECRET, Buffer.from('secret'), given).toString('base64')}`).toBe(LINE);
    expect(sealSmall(SECRET, Buffer.alloc(0), given).subarray(28).toString('hex')).toBe(
      'd6451e3fc8e31a78333651ff3ad6c3e7',
    );
  });

  it('opens one that the C program sealed', () => {
    const sealed = Buffer.from(
      'd385b7de2718c715623fd9fa42e8209ea94a4a6adfa0d54ffd722894e56cc3f8687e49a41b20440a85b9362118fc3a7484c1d287c705',
      'hex',
    );
    expect(openSmall(SECRET, sealed)?.toString()).toBe('round trip');
    for (const position of [0, 20, 30, sealed.length - 1]) {
      const damaged = Buffer.from(sealed);
      damaged[position] = (damaged[position] as number) ^ 1;
      expect(openSmall(SECRET, damaged)).toBeNull();
    }
    expect(openSmall(SECRET, sealed.subarray(0, 43))).toBeNull();
  });
});

// Each change is made durable three times over, which takes its time on a busy disk.
describe('users', { timeout: 180_000 }, () => {
  it('are added, changed and removed, with passwords of any length', async () => {
    const { home, file } = setUp();
    const long = generatePassword(1024) + 'ü'.repeat(3000);
    expect(await addUser({ file, home, user: 'repl', password: generatePassword() })).toEqual({ users: ['repl'] });
    expect(await addUser({ file, home, user: 'zoë', password: long })).toEqual({ users: ['repl', 'zoë'] });
    expect(await addUser({ file, home, user: 'x', password: '' })).toEqual({ users: ['repl', 'zoë', 'x'] });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await editUser({ file, home, user: 'repl', password: 'new#;:' });
    expect(await passwords(home, file)).toEqual({ repl: 'new#;:', zoë: long, x: '' });
    await deleteUser({ file, user: 'zoë' });
    expect(await passwords(home, file)).toEqual({ repl: 'new#;:', x: '' });
    expect(await listUsers({ file })).toEqual({ users: ['repl', 'x'] });
    expect(readdirSync(home).sort()).toEqual(['.pgmoneta', 'users.conf']);
  });

  it('keeps every other line as it is', async () => {
    const before = `# the replication user\n\n${LINE}   ; comment\n`;
    const { home, file } = setUp(before);
    expect(await passwords(home, file)).toEqual({ repl: 'secret' });
    await addUser({ file, home, user: 'other', password: 'x' });
    await editUser({ file, home, user: 'other', password: 'y' });
    expect(readFileSync(file, 'utf8').startsWith(before)).toBe(true);
    await deleteUser({ file, user: 'other' });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('adds to a file without a last line end', async () => {
    const { home, file } = setUp(LINE);
    await addUser({ file, home, user: 'other', password: 'x' });
    expect(await passwords(home, file)).toEqual({ repl: 'secret', other: 'x' });
  });

  it('refuses with the file unchanged', async () => {
    const { home, file } = setUp(`${LINE}\n`);
    const change = { file, home, password: 'x' };
    await refusal(() => addUser({ ...change, user: 'repl' }), 'ADMIN_REFUSED', /^Existing user: repl$/);
    await refusal(() => editUser({ ...change, user: 'nobody' }), 'ADMIN_REFUSED', /User 'nobody' not found/);
    await refusal(() => deleteUser({ file, user: 'nobody' }), 'ADMIN_REFUSED', /User 'nobody' not found/);
    for (const user of ['', 'a:b', 'a#', ';', ' a', 'a ', 'a\nb', 'x'.repeat(128)]) {
      await refusal(() => addUser({ ...change, user }), 'ADMIN_REFUSED', /user name/);
    }
    await refusal(() => addUser({ ...change, user: 'a', password: 'x\0' }), 'ADMIN_REFUSED', /NUL/);
    await refusal(() => addUser({ ...change, user: 'a', password: 'x'.repeat(8192) }), 'ADMIN_REFUSED', /8191/);
    expect(readFileSync(file, 'utf8')).toBe(`${LINE}\n`);
  });

  it('does not mix two master keys in one file, but lets a lost password be set anew', async () => {
    const foreign = sealSmall(Buffer.alloc(64, 7), Buffer.from('secret')).toString('base64');
    const { home, file } = setUp(`repl:${foreign}\n`);
    const error = await refusal(() => passwords(home, file), 'VAULT_INVALID', /users\.conf:1: .*repl.*master key/);
    expect(error.hint).toMatch(/user edit/);
    await refusal(() => addUser({ file, home, user: 'other', password: 'x' }), 'VAULT_INVALID', /master key/);
    await editUser({ file, home, user: 'repl', password: 'known again' });
    expect(await passwords(home, file)).toEqual({ repl: 'known again' });
  });

  it('names the line of what is no entry', async () => {
    const { home, file } = setUp(`${LINE}\njust text\n`);
    await refusal(() => passwords(home, file), 'VAULT_INVALID', /users\.conf:2/);
    const broken = setUp('repl:!!!\n');
    await refusal(() => passwords(broken.home, broken.file), 'VAULT_INVALID', /users\.conf:1: .*base64/);
  });

  it('refuses links, directories and places that cannot be written', async () => {
    const { home, file } = setUp(`${LINE}\n`);
    symlinkSync(file, join(home, 'link'));
    await refusal(() => deleteUser({ file: join(home, 'link'), user: 'repl' }), 'ADMIN_REFUSED', /symbolic link/);
    await refusal(() => deleteUser({ file: join(home, '.pgmoneta'), user: 'repl' }), 'ADMIN_REFUSED', /regular file/);
    await refusal(() => deleteUser({ file: join(home, 'missing'), user: 'repl' }), 'ADMIN_REFUSED', /does not exist/);
    await refusal(() => listUsers({ file: join(home, 'missing') }), 'ADMIN_REFUSED', /does not exist/);
    await refusal(
      () => addUser({ file: join(home, 'no', 'where'), home, user: 'a', password: 'x' }),
      'ADMIN_REFUSED',
      /cannot be changed/,
    );
  });

  it('keeps all of many changes at once', async () => {
    const { home, file } = setUp();
    const names = Array.from({ length: 12 }, (_, index) => `user${index}`);
    await Promise.all(names.map((user) => addUser({ file, home, user, password: user })));
    expect((await listUsers({ file })).users.toSorted()).toEqual(names.toSorted());
    expect(existsSync(`${file}.lock`)).toBe(false);
  });
});

describe('withLockFile', () => {
  it('takes over from a process that is gone, and waits for one that is not', async () => {
    const path = join(temporaryDirectory(), 'x.lock');
    writeFileSync(path, `4194305 ${hostname()}\n`);
    expect(await withLockFile(path, async () => 1)).toBe(1);
    writeFileSync(path, `${process.pid} ${hostname()}\n`);
    await refusal(() => withLockFile(path, async () => 1, 120), 'ADMIN_REFUSED', /held by process/);
    writeFileSync(path, '1 another.host\n');
    await refusal(() => withLockFile(path, async () => 1, 120), 'ADMIN_REFUSED', /another\.host/);
  });
});

describe('generatePassword', () => {
  it('has the asked length and only the characters of the alphabet, all of them in time', () => {
    expect(generatePassword()).toHaveLength(64);
    const seen = new Set(Array.from({ length: 20 }, () => generatePassword(1024)).join(''));
    expect([...seen].toSorted()).toEqual([...PASSWORD_ALPHABET].toSorted());
    expect(PASSWORD_ALPHABET).toHaveLength(90);
  });

  it('refuses other lengths', async () => {
    for (const length of [0, 1025, 1.5, Number.NaN]) {
      await refusal(() => generatePassword(length), 'ADMIN_REFUSED', /Invalid password length/);
    }
  });
});
