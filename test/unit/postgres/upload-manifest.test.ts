import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { asPgmonetaError } from '../../../src/errors/index.js';
import { type Connection, connect, uploadManifest } from '../../../src/postgres/index.js';
import { errorResponse, FakeServer, message, welcome } from './fake-server.js';

/** CopyInResponse: text, no columns. */
const COPY_IN = message('G', Buffer.from([0, 0, 0]));
const DONE = Buffer.concat([message('C', 'COPY\0'), message('Z', 'I')]);
const REFUSAL = errorResponse({ S: 'ERROR', C: 'XX000', M: 'manifest checksum mismatch', R: 'manifest_report_error' });

let server: FakeServer | undefined;
let connection: Connection | undefined;

afterEach(async () => {
  await connection?.close(10);
  await server?.stop();
});

/** Connects to a server that asks for the manifest and then leaves the rest to `take`. */
async function start(take: (socket: Socket, chunk: Buffer) => void): Promise<Connection> {
  server = await FakeServer.start((socket, chunk, turn) => {
    if (turn === 0) socket.write(welcome('17.10'));
    else if (turn === 1) socket.write(COPY_IN);
    else take(socket, chunk);
  });
  const { port } = server;
  connection = await connect({
    server: 'p',
    host: '127.0.0.1',
    port,
    user: 'u',
    replication: true,
    sslmode: 'disable',
  });
  return connection;
}

/** The CopyData payload of what was received, and whether CopyDone came. */
function copied(received: Buffer): { data: string; sizes: number[]; done: boolean } {
  const parts: Buffer[] = [];
  let done = false;
  for (let at = 0; at + 5 <= received.length; ) {
    const length = received.readUInt32BE(at + 1);
    const kind = String.fromCharCode(received[at] as number);
    if (kind === 'd') parts.push(received.subarray(at + 5, at + 1 + length));
    if (kind === 'c') done = true;
    at += 1 + length;
  }
  return { data: Buffer.concat(parts).toString(), sizes: parts.map((part) => part.length), done };
}

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function failure(work: Promise<unknown>) {
  return asPgmonetaError(
    await work.then(
      () => new Error('nothing was thrown'),
      (error: unknown) => error,
    ),
  );
}

describe('the upload of a manifest', () => {
  it('sends the pieces as they are and ends when the server has them', async () => {
    const chunks: Buffer[] = [];
    const all = () => copied(Buffer.concat(chunks));
    const target = await start((socket, chunk) => {
      chunks.push(chunk);
      if (all().done) socket.write(DONE);
    });
    await uploadManifest(target, pieces('{ "Postgre', 'SQL', '" }'));
    expect(all()).toEqual({ data: '{ "PostgreSQL" }', sizes: [10, 3, 3], done: true });
  });

  it('stops sending when the server refuses in the middle, and the connection can be used', async () => {
    let seen = 0;
    const target = await start((socket, chunk) => {
      seen += chunk.length;
      if (!socket.listenerCount('refused')) {
        socket.once('refused', () => {});
        socket.write(Buffer.concat([REFUSAL, message('Z', 'I')]));
      }
    });
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.alloc(1024, 'x');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    const error = await failure(uploadManifest(target, endless()));
    expect(error.code).toBe('BACKUP_PARENT');
    expect(error.message).toContain('manifest checksum mismatch');
    expect(target.closed).toBe(false);
    const before = seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen - before).toBeLessThan(10 * 1024);
  });

  it('waits while the server takes nothing, however large the manifest is', async () => {
    let taking: Socket | undefined;
    let total = 0;
    const target = await start((socket, chunk) => {
      total += chunk.length;
      if (taking === undefined) {
        taking = socket;
        socket.pause();
        setTimeout(() => socket.resume(), 300);
      }
      if (total > 64 * 1024 * 1024) socket.write(DONE);
    });
    let made = 0;
    async function* large(): AsyncGenerator<Buffer> {
      for (; made < 1024; made++) yield Buffer.alloc(64 * 1024, 'x');
    }
    const upload = uploadManifest(target, large());
    await new Promise((resolve) => setTimeout(resolve, 150));
    // What fits into the buffers of the system has gone out, not all of it.
    expect(made).toBeLessThan(512);
    await upload;
    expect(made).toBe(1024);
  });

  it('gives up when the server takes nothing for too long', async () => {
    const target = await start(() => {});
    const error = await failure(uploadManifest(target, pieces('{'), { inactivityTimeout: 0.2 }));
    expect(error.code).toBe('POSTGRES_STALLED');
    expect(error.message).toContain('UPLOAD_MANIFEST');
  });

  it('tells why the manifest cannot be read, and when it was cancelled', async () => {
    const target = await start(() => {});
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('{');
      throw new Error('the disk is gone');
    }
    expect((await failure(uploadManifest(target, broken()))).message).toContain('the disk is gone');
    const other = await start(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    const cancelled = await failure(uploadManifest(other, pieces('{'), { signal: abort.signal }));
    expect(cancelled.code).toBe('CANCELLED');
  });

  it('is refused for older servers before anything is sent', async () => {
    server = await FakeServer.start((socket) => socket.write(welcome('16.9')));
    connection = await connect({
      server: 'p',
      host: '127.0.0.1',
      port: server.port,
      user: 'u',
      replication: true,
      sslmode: 'disable',
    });
    const error = await failure(uploadManifest(connection, pieces('{')));
    expect(error.code).toBe('POSTGRES_UNSUPPORTED');
    expect(server.requests).toHaveLength(1);
  });
});
