import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WalShipper } from '../../../src/wal/shipping.js';
import { temporaryDirectory } from '../temporary.js';
import { lsn, MIB, name, tli } from './build.js';

/** How many bytes a write takes of those that it is given. */
let takes = (length: number): number => length;
const writes: number[] = [];

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const open = async (...args: Parameters<typeof real.open>): Promise<FileHandle> => {
    const file = await real.open(...args);
    const write = file.write.bind(file) as (...given: unknown[]) => Promise<{ bytesWritten: number }>;
    file.write = ((buffer: Buffer, offset: number, length: number, position: number) => {
      writes.push(length);
      return write(buffer, offset, takes(length), position);
    }) as unknown as typeof file.write;
    return file;
  };
  return { ...real, open };
});

const log = { info: () => {}, warn: () => {}, error: () => {} };
afterEach(() => {
  takes = (length) => length;
  writes.length = 0;
});

describe('the second copy of the segment that is being received', () => {
  it('has no hole when the disk takes less than it is given', async () => {
    const [source, target] = [temporaryDirectory(), temporaryDirectory()];
    const content = randomBytes(MIB);
    writeFileSync(join(source, name(1, 5, '.partial')), content);
    const shipper = new WalShipper({ server: 'primary', source, target, masterSecret: () => undefined, log });
    takes = (length) => Math.max(1, Math.floor(length / 3));
    const durable = lsn('0/5F4321');
    shipper.advance({ timeline: tli(1), segmentSize: MIB, durable }, []);
    await vi.waitFor(() => expect(shipper.end).toBe(durable), { timeout: 20_000 });
    await shipper.close();
    expect(shipper.problem).toBeUndefined();
    expect(writes.length).toBeGreaterThan(10);
    const copy = readFileSync(join(target, name(1, 5, '.partial')));
    expect(copy).toHaveLength(MIB);
    expect(copy.subarray(0, 0xf4321).equals(content.subarray(0, 0xf4321))).toBe(true);
    expect(copy.subarray(0xf4321).every((byte) => byte === 0)).toBe(true);
  });
});
