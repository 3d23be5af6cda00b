import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FrameReader, writeFrame } from '../../../src/management/frame.js';
import { packPayload, unpackPayload } from '../../../src/management/payload.js';
import { deriveMasterSecret } from '../../../src/native/crypto.js';

const LIMIT = 1024 * 1024;
const SALT = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const secretOf = (password: string) => () => deriveMasterSecret(Buffer.from(password), SALT);

function frameOf(hex: string, text: string) {
  const reader = new FrameReader(LIMIT);
  reader.push(Buffer.concat([Buffer.from(hex, 'hex'), Buffer.from(text)]));
  const frame = reader.next();
  if (frame === undefined) throw new Error('the vector is not one frame');
  return frame;
}

describe('payloads', () => {
  it('of the specification are read: frames sealed by another implementation', async () => {
    const long = frameOf(
      '00010000006c',
      'EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK4+EZHjnhezAhN+8JWtwXlREZXKnX39F8Dp8JQ3162uV3Aoal0ux5UGHweom6S3S3LIC7EXi',
    );
    expect(await unpackPayload(long, LIMIT, secretOf('correct horse'))).toBe('{"Header":{"Command":9},"Request":{}}');
    const short = frameOf('000100000044', 'EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK1LLSVX9dQ8CcjydXBi8rm6FPe2qPxNJ');
    expect(await unpackPayload(short, LIMIT, secretOf('secretpassword'))).toBe('{"a":1}');
  });

  it('come back as they were, with every pair of codes', async () => {
    const secret = randomBytes(64);
    const text = `{"Text":"${'ä'.repeat(1000)}${randomBytes(2000).toString('hex')}"}`;
    for (let compression = 0; compression <= 4; compression++) {
      for (let encryption = 0; encryption <= 3; encryption++) {
        const frame = await packPayload(text, { compression, encryption }, async () => secret);
        expect(frame.codes).toEqual({ compression, encryption });
        expect(await unpackPayload(frame, LIMIT, async () => secret)).toBe(text);
      }
    }
  });

  it('are bare text without codes, and Base64 with any', async () => {
    expect((await packPayload('{"a":1}', { compression: 0, encryption: 0 })).payload.toString()).toBe('{"a":1}');
    const { payload } = await packPayload('{"a":1}', { compression: 1, encryption: 0 });
    expect(Buffer.from(payload.toString(), 'base64').subarray(0, 2).toString('hex')).toBe('1f8b');
  });

  it('leave bzip2 where pgmoneta (C) could not unpack it', async () => {
    const { codes } = await packPayload('x'.repeat(100_000), { compression: 4, encryption: 0 });
    expect(codes.compression).toBe(2);
  });

  it('that unpack to too much are refused', async () => {
    const payload = Buffer.from(gzipSync(Buffer.alloc(2_000_000, 'x')).toString('base64'));
    const bomb = { codes: { compression: 1, encryption: 0 }, payload };
    await expect(unpackPayload(bomb, LIMIT)).rejects.toMatchObject({ code: 'FRAME_INVALID' });
    await expect(unpackPayload(bomb, 2_000_000)).resolves.toHaveLength(2_000_000);
  });

  it('sealed with another master key, or changed, are refused with a hint', async () => {
    const frame = await packPayload('{}', { compression: 0, encryption: 1 }, async () => Buffer.alloc(64, 1));
    const other = unpackPayload(frame, LIMIT, async () => Buffer.alloc(64, 2));
    await expect(other).rejects.toMatchObject({ code: 'FRAME_INVALID', hint: expect.stringContaining('master.key') });
    await expect(unpackPayload(frame, LIMIT)).rejects.toMatchObject({ code: 'MASTER_KEY_INVALID' });
  });

  it.each(['===', 'abc', 'ab*d', 'YWJj\n'])('that are not Base64 are refused: %j', async (text) => {
    const frame = { codes: { compression: 1, encryption: 0 }, payload: Buffer.from(text) };
    await expect(unpackPayload(frame, LIMIT)).rejects.toMatchObject({ code: 'FRAME_INVALID' });
  });

  it('of a megabyte of Base64 do not trip the reader', async () => {
    const text = randomBytes(400_000).toString('hex');
    const frame = await packPayload(text, { compression: 2, encryption: 1 }, async () => Buffer.alloc(64));
    const reader = new FrameReader(LIMIT);
    reader.push(writeFrame(frame));
    const read = reader.next();
    expect(read === undefined ? '' : await unpackPayload(read, LIMIT, async () => Buffer.alloc(64))).toBe(text);
  });
});
