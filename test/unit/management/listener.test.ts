import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import {
  ManagementClient,
  type ManagementHandler,
  ManagementListener,
  type ProgressReport,
  readJson,
} from '../../../src/management/index.js';

let directory = '';
let socketPath = '';
let listeners: ManagementListener[] = [];
const lines: string[] = [];
const log = { info: (line: string) => void lines.push(line), warn: (line: string) => void lines.push(line) };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'management-'));
  socketPath = join(directory, '.s.pgmoneta');
  lines.length = 0;
});

afterEach(async () => {
  for (const listener of listeners) await listener.close({ graceMs: 0 });
  listeners = [];
  await rm(directory, { recursive: true, force: true });
});

async function listen(handler: ManagementHandler, more: object = {}): Promise<ManagementListener> {
  const listener = new ManagementListener({ socketPath, handler, log, ...more });
  await listener.listen();
  listeners.push(listener);
  return listener;
}

const echo: ManagementHandler = async ({ name, request }) => ({
  response: { Name: name, Got: request.Server ?? null },
});

function raw(bytes: Buffer, options: { end?: boolean } = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
    socket.write(bytes);
    if (options.end) socket.end();
  });
}

function frameOf(document: string, codes = '0000'): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(document));
  return Buffer.concat([Buffer.from(codes, 'hex'), length, Buffer.from(document)]);
}

describe('ManagementListener', () => {
  it('answers a request, with the document echoed', async () => {
    await listen(echo);
    const reply = await new ManagementClient({ socketPath }).call({
      command: 'backup',
      request: { Server: 'primary', Backup: null },
    });
    expect(reply.ok).toBe(true);
    expect(reply.response).toMatchObject({ Name: 'backup', Got: 'primary', ServerVersion: '0.21.0' });
    expect(reply.document.Request).toEqual({ Server: 'primary', Backup: null });
    expect(reply.outcome.Time).toMatch(/^00:00:\d\.\d{4}$/);
  });

  it('creates the socket with 0600, or the mode that was asked for', async () => {
    const listener = await listen(echo);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    await listener.close({ graceMs: 0 });
    await expect(stat(socketPath)).rejects.toThrow('ENOENT');
    await listen(echo, { mode: 0o660, group: String(process.getgid?.() ?? 0) });
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
  });

  it('refuses to take the socket of a live daemon', async () => {
    await listen(echo);
    const second = new ManagementListener({ socketPath, handler: echo, log });
    await expect(second.listen()).rejects.toMatchObject({ code: 'SOCKET_IN_USE' });
    const reply = await new ManagementClient({ socketPath }).call({ command: 'ping', request: {} });
    expect(reply.ok).toBe(true);
  });

  it('replaces a socket that nobody listens on', async () => {
    const { spawnSync } = await import('node:child_process');
    const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect((await stat(socketPath)).isSocket()).toBe(true);
    await listen(echo);
    expect((await new ManagementClient({ socketPath }).call({ command: 'ping', request: {} })).ok).toBe(true);
  });

  it('never removes a file that is not a socket, and names a missing directory and a long path', async () => {
    await writeFile(socketPath, 'data');
    await expect(new ManagementListener({ socketPath, handler: echo, log }).listen()).rejects.toThrow(
      /is not a socket/,
    );
    const missing = new ManagementListener({ socketPath: join(directory, 'no', 's'), handler: echo, log });
    await expect(missing.listen()).rejects.toMatchObject({ code: 'IO' });
    const long = new ManagementListener({ socketPath: join(directory, 'x'.repeat(120)), handler: echo, log });
    await expect(long.listen()).rejects.toThrow(/operating system takes/);
    const group = new ManagementListener({
      socketPath: join(directory, 't'),
      group: 'no-such-group',
      handler: echo,
      log,
    });
    await expect(group.listen()).rejects.toThrow(/no-such-group/);
  });

  it('turns an error into an Outcome with message and hint', async () => {
    await listen(async () => {
      throw new PgmonetaError('BACKUP_ACTIVE', "server 'p' has a job running");
    });
    const reply = await new ManagementClient({ socketPath }).call({ command: 'backup', request: { Server: 'p' } });
    expect(reply.ok).toBe(false);
    expect(reply.outcome).toMatchObject({ Error: 102, Message: "server 'p' has a job running", Workflow: 'Backup' });
    expect(reply.outcome.Hint).toContain('wait for');
    expect(reply.response).toMatchObject({ Server: 'p' });
  });

  it('answers unknown commands with error 2', async () => {
    await listen(echo);
    const bytes = await raw(frameOf('{"Header":{"Command":77},"Request":{}}'));
    expect(readJson(bytes.subarray(6).toString()).Outcome).toMatchObject({ Error: 2, Workflow: 'main', Status: false });
  });

  it.each([
    ['a document that is none', frameOf('hello')],
    ['a length of zero', Buffer.from('000000000000', 'hex')],
    ['a length of zero with codes', Buffer.from('020100000000', 'hex')],
    ['a length of all ones', Buffer.from('0000ffffffff', 'hex')],
    ['an unknown compression', frameOf('{}', '0900')],
    ['an unknown encryption', frameOf('{}', '0009')],
    ['a payload that is not Base64', frameOf('{!}', '0001')],
  ])('answers %s with error 1, in clear', async (_, bytes) => {
    await listen(echo);
    const reply = await raw(bytes);
    expect(reply.subarray(0, 2).toString('hex')).toBe('0000');
    const document = readJson(reply.subarray(6).toString());
    expect(document.Outcome).toMatchObject({ Error: 1, Workflow: 'main', Status: false });
    expect(document.Response).toMatchObject({ Server: null });
    expect((await new ManagementClient({ socketPath }).call({ command: 'ping', request: {} })).ok).toBe(true);
  });

  it('answers a client that has closed its sending side', async () => {
    await listen(echo);
    const bytes = await raw(frameOf('{"Header":{"Command":9},"Request":{}}'), { end: true });
    expect(readJson(bytes.subarray(6).toString()).Outcome).toMatchObject({ Status: true });
  });

  it('is not held up by peers that say nothing, or half of something', async () => {
    await listen(echo, { deadlines: { header: 1000, body: 1000, reply: 5000 } });
    const silent = raw(Buffer.alloc(0));
    const half = raw(frameOf('{"Header"').subarray(0, 9));
    const reply = await new ManagementClient({ socketPath }).call({ command: 'ping', request: {} });
    expect(reply.ok).toBe(true);
    expect((await Promise.all([silent, half])).map((bytes) => bytes.length)).toEqual([0, 0]);
    expect(lines.join('\n')).toContain('the body of the request took more than');
    expect(lines.join('\n')).toContain('the header of the request took more than');
  });

  it('caps the connections', async () => {
    await listen(echo, { maxConnections: 1 });
    const first = connect(socketPath);
    await new Promise((resolve) => first.once('connect', resolve));
    await expect(new ManagementClient({ socketPath }).call({ command: 'ping', request: {} })).rejects.toMatchObject({
      code: 'CONNECTION',
    });
    first.destroy();
  });

  it('sends progress before the reply, at most five a second, and only when asked', async () => {
    await listen(async ({ progress }) => {
      for (let done = 0; done < 100; done++) {
        progress?.({ phase: 'copying', done, total: 100, unit: 'bytes' });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return { response: { Asked: progress !== undefined } };
    });
    const seen: ProgressReport[] = [];
    const started = performance.now();
    const client = new ManagementClient({ socketPath });
    const reply = await client.call({ command: 'backup', request: {}, onProgress: (report) => seen.push(report) });
    expect(reply.response?.Asked).toBe(true);
    expect(seen.length).toBeGreaterThanOrEqual(2);
    expect(seen.length).toBeLessThanOrEqual(2 + (performance.now() - started) / 200);
    expect(seen.at(0)).toMatchObject({ phase: 'copying', total: 100 });
    expect((await client.call({ command: 'backup', request: {} })).response?.Asked).toBe(false);
  });

  it('cancels on the connection of the request, and not because the client left', async () => {
    const cancelled: boolean[] = [];
    const runs = [
      { begun: () => undefined as unknown, end: () => undefined as unknown },
      { begun: () => undefined as unknown, end: () => undefined as unknown },
    ];
    const begun = runs.map((run) => new Promise<void>((resolve) => Object.assign(run, { begun: resolve })));
    const waiting = [...runs];
    await listen(async ({ signal }) => {
      const run = waiting.shift();
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
        Object.assign(run ?? {}, { end: resolve });
        run?.begun();
      });
      cancelled.push(signal.aborted);
      if (signal.aborted) throw new PgmonetaError('BACKUP_CANCELLED', 'cancelled');
      return {};
    });
    const client = new ManagementClient({ socketPath });
    const call = { command: 'backup', request: {}, onProgress: () => undefined } as const;
    const exchange = await client.send(call);
    await begun[0];
    await exchange.cancel();
    expect((await exchange.reply).outcome).toMatchObject({ Status: false, Error: 113 });
    const left = await client.send(call);
    await begun[1];
    left.detach();
    await expect(left.reply).rejects.toMatchObject({ code: 'CANCELLED' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(cancelled).toEqual([true]);
    runs[1]?.end();
    await expect.poll(() => cancelled).toEqual([true, false]);
  });

  it('cancels even when the request and the wish to cancel arrive together', async () => {
    await listen(async ({ signal }) => {
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve());
      });
      throw new PgmonetaError('CANCELLED', 'cancelled');
    });
    const together = Buffer.concat([
      frameOf('{"Header":{"Command":1,"Protocol":2},"Request":{"Server":"p"}}'),
      frameOf('{"Header":{"Command":300},"Request":{}}'),
    ]);
    const bytes = await raw(together);
    expect(readJson(bytes.subarray(6).toString()).Outcome).toMatchObject({ Error: 113, Message: 'cancelled' });
  });

  it('finishes running requests within the grace of close', async () => {
    const listener = await listen(async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { response: {} };
    });
    const exchange = await new ManagementClient({ socketPath }).send({ command: 'status', request: {} });
    const idle = raw(Buffer.alloc(0));
    await expect.poll(() => listener.active).toBe(1);
    await listener.close({ graceMs: 5000 });
    expect((await exchange.reply).ok).toBe(true);
    expect((await idle).length).toBe(0);
  });

  it('sends large replies whole', async () => {
    const text = 'x'.repeat(5_000_000);
    await listen(async () => ({ response: { Text: text } }));
    const reply = await new ManagementClient({ socketPath }).call({ command: 'info', request: {} });
    expect(reply.response?.Text).toBe(text);
  });
});

describe('ManagementClient', () => {
  it('says why it cannot connect', async () => {
    const call = new ManagementClient({ socketPath }).call({ command: 'ping', request: {} });
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION', retryable: true });
    await expect(call).rejects.toThrow(`Failed to connect via Unix socket at '${socketPath}': there is no such socket`);
  });

  it('takes an early close as a failure of the connection', async () => {
    const server = createServer((socket: Socket) => socket.once('data', () => socket.end(Buffer.from([0, 0, 0]))));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const call = new ManagementClient({ socketPath }).call({ command: 'ping', request: {} });
    await expect(call).rejects.toThrow(/closed the connection without an answer/);
    await new Promise((resolve) => server.close(resolve));
  });

  it('refuses apostrophes only when the daemon is pgmoneta (C)', async () => {
    await listen(echo);
    const call = { command: 'info', request: { Server: "it's" } } as const;
    expect((await new ManagementClient({ socketPath }).call(call)).response?.Got).toBe("it's");
    await listeners.pop()?.close({ graceMs: 0 });
    const answer = frameOf('{"Outcome":{"Status":true},"Response":{"ServerVersion":"0.21.0"}}');
    const server = createServer((socket: Socket) => socket.once('data', () => socket.end(answer)));
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    await expect(new ManagementClient({ socketPath }).call(call)).rejects.toMatchObject({ code: 'USAGE' });
    await new Promise((resolve) => server.close(resolve));
  });
});
