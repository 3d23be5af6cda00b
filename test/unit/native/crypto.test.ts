import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CipherMode,
  decryptFile,
  deriveMasterSecret,
  encryptFile,
  openBlob,
  openLegacyBlob,
  sealBlob,
} from '../../../src/native/crypto.js';

const salt = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const masterSecret = Buffer.from(
  '804c4fb0e49ffe15a375a8462a08f4b5b05bb9803dc0f98fd5611d79b8959611' +
    'b1fd0f12ba621ecbe6ca73bb63e280718fc77d83adba9c559769ebbdba923b28',
  'hex',
);
const modes: CipherMode[] = ['gcm', 'cbc', 'ctr'].flatMap((mode) =>
  ['256', '192', '128'].map((size) => `aes-${size}-${mode}` as CipherMode),
);
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'crypto-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('blobs', () => {
  it('derives the master secret of the published vector', async () => {
    expect((await deriveMasterSecret(Buffer.from('secretpassword'), salt)).equals(masterSecret)).toBe(true);
  });

  it('opens a vault entry and a blob of the C program', () => {
    const entry = 'EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK1qMSwWiMIdEGbR2kKUABQ+vjGVnGlQ=';
    expect(openBlob('aes-256-gcm', masterSecret, Buffer.from(entry, 'base64')).toString()).toBe('secret');
    const blob =
      'd385b7de2718c715623fd9fa42e8209ea94a4a6adfa0d54ffd722894e56cc3f8687e49a41b20440a85b9362118fc3a7484c1d287c705';
    expect(openBlob('aes-256-gcm', masterSecret, Buffer.from(blob, 'hex')).toString()).toBe('round trip');
  });

  it.each(['aes-256-gcm', 'aes-192-gcm', 'aes-128-gcm'] as const)('%s: seals and opens', (mode) => {
    const sealed = sealBlob(mode, masterSecret, Buffer.from('hello'));
    expect(sealed.length).toBe(5 + 44);
    expect(openBlob(mode, masterSecret, sealed).toString()).toBe('hello');
    expect(sealBlob(mode, masterSecret, Buffer.from('hello')).equals(sealed)).toBe(false);
    sealed[30] = (sealed[30] ?? 0) ^ 1;
    expect(() => openBlob(mode, masterSecret, sealed)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });

  it('refuses a secret of another size', () => {
    expect(() => sealBlob('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(1))).toThrow(/64 bytes/);
  });

  it('opens a vault entry of 0.20', () => {
    // openssl enc -aes-256-cbc -nosalt -md sha1 -pass pass:secretpassword
    const sealed = Buffer.from('WiG1gk7T5CmFkSoV8iHVtw==', 'base64');
    expect(openLegacyBlob(Buffer.from('secretpassword'), sealed).toString()).toBe('a vault entry');
    expect(() => openLegacyBlob(Buffer.from('secretpassword'), sealed.subarray(1))).toThrow(/multiple of 16/);
  });
});

describe('files', () => {
  it.each(modes)('%s: there and back, the mode found out', async (mode) => {
    const plain = join(directory, '1259.zstd');
    const content = Buffer.alloc(300_000, 'page');
    writeFileSync(plain, content);
    const sealed = await encryptFile(plain, { mode, masterSecret });
    expect(sealed).toEqual({
      destination: `${plain}.aes`,
      sourceSize: content.length,
      destinationSize: statSync(`${plain}.aes`).size,
    });
    expect(statSync(sealed.destination).mode & 0o777).toBe(0o600);
    const opened = await decryptFile(sealed.destination, { masterSecret });
    expect(opened.destination).toBe(plain);
    expect(readFileSync(plain).equals(content)).toBe(true);
    expect(readdirSync(directory)).toEqual(['1259.zstd']);
  });

  it('refuses another key, names the file, keeps it', async () => {
    const plain = join(directory, 'a');
    writeFileSync(plain, 'content');
    const { destination } = await encryptFile(plain, { mode: 'aes-256-gcm', masterSecret });
    const other = createHmac('sha512', 'another').digest();
    await expect(decryptFile(destination, { masterSecret: other })).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(destination),
      hint: expect.stringContaining('master.key'),
    });
    await expect(decryptFile(plain, { masterSecret })).rejects.toMatchObject({ code: 'USAGE' });
    expect(readdirSync(directory)).toEqual(['a.aes']);
  });
});
