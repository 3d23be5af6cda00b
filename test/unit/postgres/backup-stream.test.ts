import { describe, expect, it } from 'vitest';
import type { BaseBackupSink } from '../../../src/postgres/backup-sink.js';
import { PlainBackupStream, TypedBackupStream } from '../../../src/postgres/backup-stream.js';

/** Writes down what happens; neighbouring data is joined, because where it is cut means nothing. */
class Recorder implements BaseBackupSink {
  readonly events: string[] = [];
  keep = true;
  #note(kind: string, text: string): void {
    const last = this.events.at(-1);
    if (last?.startsWith(`${kind} `)) this.events[this.events.length - 1] = last + text;
    else this.events.push(`${kind} ${text}`);
  }
  start(): void {}
  beginArchive(name: string, path: string | null): void {
    this.events.push(`begin ${name} ${path}`);
  }
  data(chunk: Buffer): boolean {
    this.#note('data', chunk.toString());
    return this.keep;
  }
  async drained(): Promise<void> {}
  endArchive(): void {
    this.events.push('end');
  }
  manifest(chunk: Buffer): boolean {
    this.#note('manifest', chunk.toString());
    return this.keep;
  }
  progress(bytes: number): void {
    this.events.push(`progress ${bytes}`);
  }
}

function progress(bytes: bigint): Buffer {
  const frame = Buffer.alloc(9);
  frame.write('p');
  frame.writeBigInt64BE(bytes, 1);
  return frame;
}

const FRAMES = [
  Buffer.from('n16384.tar\0/srv/ts\0'),
  Buffer.from('dabc'),
  Buffer.from('ddef'),
  progress(5_000_000_000n),
  Buffer.from('nbase.tar\0\0'),
  Buffer.from('dxyz'),
  Buffer.from('m'),
  Buffer.from('d{ "PostgreSQL'),
  Buffer.from('d" }'),
];

const EVENTS = [
  'begin 16384.tar /srv/ts',
  'data abcdef',
  'progress 5000000000',
  'end',
  'begin base.tar null',
  'data xyz',
  'end',
  'manifest { "PostgreSQL" }',
];

describe('TypedBackupStream (15 and newer)', () => {
  it.each([1, 2, 3, 1000])('reads messages in pieces of %i bytes', (size) => {
    const sink = new Recorder();
    const stream = new TypedBackupStream(sink);
    stream.copyBegins();
    for (const frame of FRAMES) {
      for (let at = 0; at < frame.length; at += size) {
        const piece = frame.subarray(at, at + size);
        stream.data(piece, at === 0, frame.length - at - piece.length);
      }
    }
    stream.copyEnds();
    expect(sink.events).toEqual(EVENTS);
    expect([stream.archiveBytes, stream.manifestBytes]).toEqual([9, 16]);
  });

  it('hands back that the sink is full, for archives and manifest', () => {
    const sink = new Recorder();
    const stream = new TypedBackupStream(sink);
    stream.data(Buffer.from('nbase.tar\0\0'), true, 0);
    sink.keep = false;
    expect(stream.data(Buffer.from('dx'), true, 0)).toBe(false);
    expect(stream.data(Buffer.from('m'), true, 0)).toBe(true);
    expect(stream.data(Buffer.from('dx'), true, 0)).toBe(false);
  });

  it.each([
    ['data before an archive', Buffer.from('dabc'), /data before any archive/],
    ['an unknown type', Buffer.from('qabc'), /message of type 0x71/],
    ['a short progress message', Buffer.from('p123'), /progress message of a wrong length/],
    ['an endless header', Buffer.concat([Buffer.from('n'), Buffer.alloc(70_000, 65)]), /far too long/],
  ])('refuses %s', (_, frame, message) => {
    expect(() => new TypedBackupStream(new Recorder()).data(frame, true, 0)).toThrow(message);
  });
});

describe('PlainBackupStream (13 and 14)', () => {
  const archives = [
    { name: '16384.tar', path: '/srv/ts' },
    { name: 'base.tar', path: null },
  ];

  it('takes one COPY per announced archive and one for the manifest', () => {
    const sink = new Recorder();
    const stream = new PlainBackupStream(sink, archives);
    for (const bodies of [['abc', 'def'], ['xyz'], ['{', '}']]) {
      stream.copyBegins();
      for (const body of bodies) stream.data(Buffer.from(body));
      stream.copyEnds();
    }
    expect(sink.events).toEqual([
      'begin 16384.tar /srv/ts',
      'data abcdef',
      'end',
      'progress 6',
      'begin base.tar null',
      'data xyz',
      'end',
      'progress 9',
      'manifest {}',
    ]);
  });

  it('refuses more archives than were announced', () => {
    const stream = new PlainBackupStream(new Recorder(), []);
    stream.copyBegins();
    stream.copyEnds();
    expect(() => stream.copyBegins()).toThrow(/more archives than it announced/);
  });

  it('reports progress while a large archive runs', () => {
    const sink = new Recorder();
    const stream = new PlainBackupStream(sink, archives);
    sink.data = () => true;
    stream.copyBegins();
    stream.data(Buffer.alloc(17 * 1024 * 1024));
    expect(sink.events).toContain(`progress ${17 * 1024 * 1024}`);
  });
});
