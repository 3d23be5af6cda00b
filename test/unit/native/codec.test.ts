import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CodecName,
  type CompressionCode,
  compressFile,
  compressPayload,
  decompressFile,
  decompressPayload,
} from '../../../src/native/codec.js';

const text = Buffer.from('checkpoint starting: immediate\n'.repeat(20_000));
const suffixes: Record<CodecName, string> = { gzip: '.gz', zstd: '.zstd', lz4: '.lz4', bzip2: '.bz2' };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'codec-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('files', () => {
  it.each(Object.keys(suffixes) as CodecName[])('%s: there and back', async (codec) => {
    const plain = join(directory, '000000010000000000000001');
    writeFileSync(plain, text);
    const replaced = await compressFile(plain, { codec, level: 3 });
    expect(replaced.destination).toBe(plain + suffixes[codec]);
    expect(replaced.sourceSize).toBe(text.length);
    expect(replaced.destinationSize).toBe(statSync(replaced.destination).size);
    expect(statSync(replaced.destination).mode & 0o777).toBe(0o600);
    expect(existsSync(plain)).toBe(false);
    expect(await decompressFile(replaced.destination)).toMatchObject({ destination: plain });
    expect(readFileSync(plain).equals(text)).toBe(true);
    expect(readdirSync(directory)).toEqual(['000000010000000000000001']);
  });

  it('writes what gzip reads', async () => {
    const plain = join(directory, 'file');
    writeFileSync(plain, text);
    const { destination } = await compressFile(plain, { codec: 'gzip', level: 6 });
    expect(gunzipSync(readFileSync(destination)).equals(text)).toBe(true);
    expect(execFileSync('gzip', ['-dc', destination], { maxBuffer: 1 << 26 }).equals(text)).toBe(true);
  });

  it('names what is wrong and keeps the source', async () => {
    const plain = join(directory, 'file');
    writeFileSync(plain, text);
    writeFileSync(`${plain}.zstd`, 'mine');
    await expect(compressFile(plain, { codec: 'zstd', level: 3 })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(`${plain}.zstd exists already`),
      hint: expect.stringContaining('remove'),
    });
    await expect(decompressFile(`${plain}.zstd`)).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(decompressFile(plain)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(compressFile(join(directory, 'none'), { codec: 'lz4', level: 1 })).rejects.toMatchObject({
      code: 'IO',
      context: { path: join(directory, 'none') },
    });
    expect(readdirSync(directory).sort()).toEqual(['file', 'file.zstd']);
  });
});

describe('payloads', () => {
  it.each([0, 1, 2, 3, 4] as CompressionCode[])('code %i: there and back, within limits', async (code) => {
    const packed = await compressPayload(code, text, 1 << 20);
    expect((await decompressPayload(code, packed, text.length)).equals(text)).toBe(true);
    await expect(decompressPayload(code, packed, text.length - 1)).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(compressPayload(code, text, 10)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('speaks gzip with others', async () => {
    expect(gunzipSync(await compressPayload(1, text, 1 << 20)).equals(text)).toBe(true);
    expect((await decompressPayload(1, gzipSync(text), 1 << 20)).equals(text)).toBe(true);
  });

  it('refuses damage and unknown codes', async () => {
    const packed = await compressPayload(2, text, 1 << 20);
    await expect(decompressPayload(2, packed.subarray(0, -1), 1 << 20)).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(decompressPayload(9 as CompressionCode, packed, 1 << 20)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
