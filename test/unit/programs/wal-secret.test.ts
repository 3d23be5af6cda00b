import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WalSecret } from '../../../src/programs/shared/wal-secret.js';
import { forgetMasterSecrets } from '../../../src/security/index.js';
import { temporaryDirectory } from '../temporary.js';

const HOME = process.env.HOME;
let directory: string;
const file = (name: string) => join(directory, name);

function writeKey(password: string): void {
  const text = `${Buffer.from(password).toString('base64')}\n${Buffer.alloc(16, 7).toString('base64')}\n`;
  writeFileSync(file('master.key'), text, { mode: 0o600 });
}

/** What a new process gets, and whether it was the kept one. */
async function nextProcess(): Promise<{ secret: string; kept: boolean }> {
  forgetMasterSecrets();
  const before = statSync(file('master.secret'), { throwIfNoEntry: false })?.ino;
  const secret = (await new WalSecret().get()).toString('hex');
  // What was derived is kept in a new file.
  return { secret, kept: statSync(file('master.secret')).ino === before };
}

beforeEach(() => {
  const home = temporaryDirectory();
  directory = join(home, '.pgmoneta');
  mkdirSync(directory, { mode: 0o700 });
  process.env.HOME = home;
  writeKey('first password');
});

afterEach(() => {
  process.env.HOME = HOME;
  forgetMasterSecrets();
});

describe('the secret for one segment of WAL', () => {
  it('is derived once, kept as closed as the master key, and the same afterwards', async () => {
    const source = new WalSecret();
    const derived = Buffer.from(await source.get());
    expect(derived).toHaveLength(64);
    expect(statSync(file('master.secret')).mode & 0o777).toBe(0o600);
    expect(readFileSync(file('master.secret')).includes('first password')).toBe(false);
    expect(await source.doubt()).toBe(false); // it was derived: there is nothing better
    forgetMasterSecrets();
    const next = new WalSecret();
    expect((await next.get()).equals(derived)).toBe(true);
    expect(await next.doubt()).toBe(true); // it was kept: derived once more it may be another
    expect(statSync(file('master.secret'), { throwIfNoEntry: false })).toBeUndefined();
  });

  it('is never taken from a file that is not what was kept for this key', async () => {
    const { secret } = await nextProcess();
    expect(await nextProcess()).toEqual({ secret, kept: true });
    const content = readFileSync(file('master.secret'));
    const spoil: readonly (() => void)[] = [
      () => writeFileSync(file('master.secret'), content.subarray(0, -1)),
      () => writeFileSync(file('master.secret'), content.fill(0xff, 60, 61)),
      () => chmodSync(file('master.secret'), 0o640),
      () => {
        renameSync(file('master.secret'), file('elsewhere'));
        symlinkSync('elsewhere', file('master.secret'));
      },
      () => utimesSync(file('master.key'), 1, 1),
    ];
    for (const change of spoil) {
      change();
      const inode = lstatSync(file('master.secret')).ino;
      forgetMasterSecrets();
      expect((await new WalSecret().get()).toString('hex')).toBe(secret);
      expect(lstatSync(file('master.secret')).ino).not.toBe(inode);
      expect(await nextProcess()).toEqual({ secret, kept: true });
    }
    writeKey('another password');
    const other = await nextProcess();
    expect(other.kept).toBe(false);
    expect(other.secret).not.toBe(secret);
  }, 60_000);

  it('is derived every time where nothing can be kept', async () => {
    const { secret } = await nextProcess();
    unlinkSync(file('master.secret'));
    mkdirSync(file('master.secret'));
    forgetMasterSecrets();
    expect((await new WalSecret().get()).toString('hex')).toBe(secret);
    expect(statSync(file('master.secret')).isDirectory()).toBe(true);
  });
});
