import { describe, expect, it } from 'vitest';
import { FrameReader, MAX_REQUEST, writeFrame } from '../../../src/management/frame.js';

const frame = { codes: { compression: 2, encryption: 1 }, payload: Buffer.from('payload') };

describe('frames', () => {
  it('have two codes and a big-endian length in front', () => {
    expect(writeFrame(frame).toString('hex')).toBe(`020100000007${Buffer.from('payload').toString('hex')}`);
  });

  it('are cut out of a stream wherever it is torn', () => {
    const bytes = Buffer.concat([writeFrame(frame), writeFrame({ ...frame, payload: Buffer.from('second') })]);
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new FrameReader(100);
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        reader.push(bytes.subarray(at, at + size));
        for (let next = reader.next(); next !== undefined; next = reader.next()) {
          expect(next.codes).toEqual(frame.codes);
          found.push(next.payload.toString());
        }
      }
      expect(found).toEqual(['payload', 'second']);
      expect(reader.pending).toBe(0);
    }
  });

  it('ask for more bytes when header or payload is torn', () => {
    const reader = new FrameReader(100);
    reader.push(writeFrame(frame).subarray(0, 5));
    expect(reader.next()).toBeUndefined();
    expect(reader.inBody).toBe(false);
    reader.push(writeFrame(frame).subarray(5, 9));
    expect(reader.next()).toBeUndefined();
    expect(reader.inBody).toBe(true);
    expect(reader.currentCodes).toEqual(frame.codes);
  });

  it.each([0, MAX_REQUEST + 1, 0xffffffff])('of length %i are refused as soon as the header is there', (length) => {
    const header = Buffer.alloc(6);
    header.writeUInt32BE(length, 2);
    const reader = new FrameReader(MAX_REQUEST);
    reader.push(header);
    expect(() => reader.next()).toThrow(/announces \d+ bytes/);
  });
});
