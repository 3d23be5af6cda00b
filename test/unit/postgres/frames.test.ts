import { describe, expect, it } from 'vitest';
import { type CopyTarget, FrameSplitter, MESSAGE_LIMIT } from '../../../src/postgres/frames.js';

function message(kind: string, body: Buffer | string): Buffer {
  const payload = Buffer.from(body);
  const out = Buffer.alloc(payload.length + 5);
  out.write(kind, 0, 'latin1');
  out.writeUInt32BE(payload.length + 4, 1);
  payload.copy(out, 5);
  return out;
}

/** Puts pieces together again, and checks what is said about them. */
class Collector implements CopyTarget {
  readonly frames: Buffer[] = [];
  full = false;
  #open = Buffer.alloc(0);

  data(piece: Buffer, first: boolean, left: number): boolean {
    if (first !== (this.#open.length === 0)) throw new Error('first is wrong');
    this.#open = Buffer.concat([this.#open, piece]);
    if (left === 0) this.frames.push(this.#open);
    if (left === 0) this.#open = Buffer.alloc(0);
    return !this.full;
  }

  async drained(): Promise<void> {}
}

const STREAM = [
  message('S', 'a\0b\0'),
  message('d', 'first'),
  message('N', ''),
  message('d', Buffer.alloc(300, 7)),
  message('d', ''),
  message('d', 'x'),
  message('c', ''),
  message('Z', 'I'),
];

function cut(chunks: Buffer[]): { packets: string[]; frames: string[] } {
  const packets: string[] = [];
  const target = new Collector();
  const splitter = new FrameSplitter((packet) => packets.push(packet.toString('hex')));
  splitter.copy = target;
  for (const chunk of chunks) expect(splitter.push(chunk)).toBe(true);
  return { packets, frames: target.frames.map((frame) => frame.toString('hex')) };
}

describe('FrameSplitter', () => {
  const whole = Buffer.concat(STREAM);
  const expected = {
    packets: STREAM.filter((part) => part[0] !== 0x64).map((part) => part.toString('hex')),
    frames: ['first', Buffer.alloc(300, 7), 'x'].map((body) => Buffer.from(body).toString('hex')),
  };

  it('cuts a stream that comes in one piece', () => {
    expect(cut([whole])).toEqual(expected);
  });

  it('cuts the same when the stream is torn at any place', () => {
    for (let at = 0; at <= whole.length; at++) {
      expect(cut([whole.subarray(0, at), whole.subarray(at)])).toEqual(expected);
    }
  });

  it.each([1, 2, 3, 5, 7, 64])('cuts the same in chunks of %i bytes', (size) => {
    const chunks: Buffer[] = [];
    for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
    expect(cut(chunks)).toEqual(expected);
  });

  it('leaves to somebody else what follows a message, and goes on when told so', () => {
    for (let at = 0; at <= whole.length; at++) {
      const packets: string[] = [];
      const splitter = new FrameSplitter((packet) => {
        packets.push(packet.toString('hex'));
        if (packet[0] === 0x4e) splitter.detach();
      });
      splitter.copy = new Collector();
      const left: Buffer[] = [];
      for (const chunk of [whole.subarray(0, at), whole.subarray(at)]) {
        splitter.push(chunk);
        if (splitter.detached) left.push(splitter.rest);
      }
      expect(packets).toEqual(expected.packets.slice(0, 2));
      expect(Buffer.concat(left).equals(Buffer.concat(STREAM.slice(3)))).toBe(true);
      splitter.attach();
      splitter.push(Buffer.concat(STREAM.slice(3)));
      expect(packets).toEqual(expected.packets);
    }
  });

  it('does not copy payload', () => {
    const chunk = Buffer.concat([message('d', 'payload')]);
    const splitter = new FrameSplitter(() => {});
    let piece: Buffer = Buffer.alloc(0);
    splitter.copy = {
      data: (bytes) => {
        piece = bytes;
        return true;
      },
      drained: async () => {},
    };
    splitter.push(chunk);
    expect(piece.buffer).toBe(chunk.buffer);
    expect(piece.toString()).toBe('payload');
  });

  it('hands on messages that outlive the read buffer', () => {
    const chunk = message('S', 'abc');
    let kept: Buffer = Buffer.alloc(0);
    new FrameSplitter((packet) => {
      kept = packet;
    }).push(chunk);
    chunk.fill(0);
    expect(kept.subarray(5).toString()).toBe('abc');
  });

  it('passes CopyData on like any message when nobody takes it', () => {
    const packets: Buffer[] = [];
    new FrameSplitter((packet) => packets.push(packet)).push(message('d', 'data'));
    expect(packets).toEqual([message('d', 'data')]);
  });

  it('says when the target wants no more, but gives it the rest of the chunk', () => {
    const splitter = new FrameSplitter(() => {});
    const target = new Collector();
    target.full = true;
    splitter.copy = target;
    expect(splitter.push(Buffer.concat([message('d', 'one'), message('d', 'two')]))).toBe(false);
    expect(target.frames.map(String)).toEqual(['one', 'two']);
    target.full = false;
    expect(splitter.push(message('d', 'three'))).toBe(true);
  });

  it('refuses lengths that no message has', () => {
    const tooShort = Buffer.from([0x5a, 0, 0, 0, 3]);
    expect(() => new FrameSplitter(() => {}).push(tooShort)).toThrow(/impossible length 3/);
    const tooLong = Buffer.from([0x44, 0, 0, 0, 0]);
    tooLong.writeUInt32BE(MESSAGE_LIMIT + 1, 1);
    expect(() => new FrameSplitter(() => {}).push(tooLong)).toThrow(/impossible length/);
    // An HTTP server answers "HTTP/1.1 400": the four bytes after H are no sane length.
    expect(() => new FrameSplitter(() => {}).push(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toThrow(
      /kind 0x48 with the impossible length/,
    );
  });

  it('takes nothing more once it is stopped, not even from the same chunk', () => {
    const packets: Buffer[] = [];
    const splitter: FrameSplitter = new FrameSplitter((packet) => {
      packets.push(packet);
      splitter.stop();
    });
    splitter.push(Buffer.concat([message('E', 'x'), message('Z', 'I')]));
    splitter.push(message('Z', 'I'));
    expect(packets).toHaveLength(1);
  });
});
