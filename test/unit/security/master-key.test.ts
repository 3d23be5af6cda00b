import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMasterKey, formatMasterKey, parseMasterKey, readMasterKey } from '../../../src/security/master-key.js';
import {
  deriveMasterSecret,
  deriveMasterSecretAsync,
  forgetMasterSecrets,
} from '../../../src/security/master-secret.js';
import { refusal, temporaryDirectory } from '../temporary.js';

const VECTOR = 'c2VjcmV0cGFzc3dvcmQ=\nAAECAwQFBgcICQoLDA0ODw==\n';
const SECRET =
  '804c4fb0e49ffe15a375a8462a08f4b5b05bb9803dc0f98fd5611d79b8959611b1fd0f12ba621ecbe6ca73bb63e280718fc77d83adba9c559769ebbdba923b28';

function homeWith(text: string, mode = 0o600, directoryMode = 0o700): string {
  const home = temporaryDirectory();
  mkdirSync(join(home, '.pgmoneta'), { mode: 0o700 });
  writeFileSync(join(home, '.pgmoneta', 'master.key'), text, { mode });
  chmodSync(join(home, '.pgmoneta', 'master.key'), mode);
  chmodSync(join(home, '.pgmoneta'), directoryMode);
  return home;
}

describe('readMasterKey', () => {
  it('reads the vector of the specification and derives its secret', async () => {
    const key = await readMasterKey(homeWith(VECTOR));
    expect(key.password.toString()).toBe('secretpassword');
    expect(key.salt.toString('hex')).toBe('000102030405060708090a0b0c0d0e0f');
    expect(deriveMasterSecret(key).toString('hex')).toBe(SECRET);
    expect(await deriveMasterSecretAsync(key)).toBe(deriveMasterSecret(key));
    forgetMasterSecrets();
    expect((await deriveMasterSecretAsync(key)).toString('hex')).toBe(SECRET);
  });

  it('reads passwords of any length', () => {
    const password = Buffer.alloc(8191, 'x');
    const key = parseMasterKey(formatMasterKey({ password, salt: Buffer.alloc(16) }));
    expect(key).toMatchObject({ password });
  });

  const bad: readonly [string, string, RegExp][] = [
    ['an empty file', '', /no base64 password/],
    ['one line', 'c2VjcmV0cGFzc3dvcmQ=\n', /second line/],
    ['a short salt', 'c2VjcmV0cGFzc3dvcmQ=\nAAEC\n', /16 bytes/],
    ['a password that is not base64', '!!!!\nAAECAwQFBgcICQoLDA0ODw==\n', /base64 password/],
    ['three lines', `${VECTOR}x\n`, /more than two/],
  ];
  for (const [name, text, message] of bad) {
    it(`refuses ${name}`, () => refusal(() => readMasterKey(homeWith(text)), 'MASTER_KEY_INVALID', message));
  }

  it('refuses what others can read, and tells the command that helps', async () => {
    const file = await refusal(() => readMasterKey(homeWith(VECTOR, 0o640)), 'MASTER_KEY_INVALID', /0600/);
    expect(file.hint).toMatch(/chmod 600 .*master\.key/);
    const directory = await refusal(() => readMasterKey(homeWith(VECTOR, 0o600, 0o750)), 'MASTER_KEY_INVALID', /0700/);
    expect(directory.hint).toMatch(/chmod 700 .*\.pgmoneta/);
  });

  it('names the missing file', () =>
    refusal(() => readMasterKey(temporaryDirectory()), 'MASTER_KEY_INVALID', /master\.key does not exist/));
});

describe('createMasterKey', () => {
  it('makes a key that can be read, closed to others', async () => {
    const home = temporaryDirectory();
    const { path } = await createMasterKey({ home, password: 'pässword#;' });
    expect(path).toBe(join(home, '.pgmoneta', 'master.key'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, '.pgmoneta')).mode & 0o777).toBe(0o700);
    expect((await readMasterKey(home)).password.toString()).toBe('pässword#;');
    expect(readdirSync(join(home, '.pgmoneta'))).toEqual(['master.key']);
  });

  it('never touches an existing key', async () => {
    const home = homeWith(VECTOR);
    await refusal(() => createMasterKey({ home, password: 'another password' }), 'ADMIN_REFUSED', /exists already/);
    expect(readFileSync(join(home, '.pgmoneta', 'master.key'), 'latin1')).toBe(VECTOR);
    expect(readdirSync(join(home, '.pgmoneta'))).toEqual(['master.key']);
  });

  it('leaves nothing behind when the password is refused', async () => {
    const home = temporaryDirectory();
    await refusal(() => createMasterKey({ home, password: 'short' }), 'ADMIN_REFUSED', /8 characters/);
    await refusal(() => createMasterKey({ home, password: '\ud800'.repeat(8) }), 'ADMIN_REFUSED', /UTF-8/);
    await refusal(() => createMasterKey({ home, password: 'x'.repeat(8192) }), 'ADMIN_REFUSED', /8191/);
    expect(readdirSync(home)).toEqual([]);
  });

  it('refuses an open directory and a dangling link in the place of the key', async () => {
    const home = temporaryDirectory();
    mkdirSync(join(home, '.pgmoneta'));
    chmodSync(join(home, '.pgmoneta'), 0o755);
    await refusal(() => createMasterKey({ home, password: 'long enough' }), 'ADMIN_REFUSED', /0700/);
    chmodSync(join(home, '.pgmoneta'), 0o700);
    symlinkSync('nowhere', join(home, '.pgmoneta', 'master.key'));
    await refusal(() => createMasterKey({ home, password: 'long enough' }), 'ADMIN_REFUSED', /exists already/);
  });
});
