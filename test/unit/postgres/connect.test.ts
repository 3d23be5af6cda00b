import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PgmonetaError } from '../../../src/errors/index.js';
import { connect } from '../../../src/postgres/connect.js';
import type { Connection } from '../../../src/postgres/connection.js';
import type { ConnectOptions } from '../../../src/postgres/options.js';
import { authentication, errorResponse, FakeServer, message, welcome } from './fake-server.js';

let server: FakeServer | undefined;
afterEach(() => server?.stop());

type Answer = (socket: Socket, chunk: Buffer, turn: number) => void;

async function dial(answer: Answer, options: Partial<ConnectOptions> = {}): Promise<Connection> {
  server = await FakeServer.start(answer);
  const base = { server: 'primary', host: '127.0.0.1', port: server.port, user: 'repl', sslmode: 'disable' as const };
  return connect({ ...base, ...options });
}

async function failure(work: Promise<unknown>): Promise<PgmonetaError> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PgmonetaError);
  return error as PgmonetaError;
}

const always = (bytes: Buffer): Answer => {
  return (socket) => socket.write(bytes);
};

describe('connect, to a server of no real kind', () => {
  it('reads the greeting, also byte by byte', async () => {
    const bytes = welcome('17.9');
    const connection = await dial((socket) => {
      for (const byte of bytes) socket.write(Buffer.from([byte]));
    });
    expect(connection.version).toEqual({ major: 17, minor: 9, text: '17.9' });
    expect(connection.processId).toBe(42);
    expect(server?.requests[0]?.toString('latin1')).toContain('application_name\0pgmoneta\0');
    connection.abort(new PgmonetaError('CANCELLED', 'end'));
  });

  it('refuses a server that is too old', async () => {
    const error = await failure(dial(always(welcome('12.22'))));
    expect(error.code).toBe('POSTGRES_TOO_OLD');
    expect(error.message).toMatch(/server primary \(127\.0\.0\.1:\d+\) is PostgreSQL 12\.22; pgmoneta needs 13/);
  });

  it.each([
    [7, 'GSSAPI'],
    [9, 'SSPI'],
  ])('says that it does not speak method %i', async (code, name) => {
    const error = await failure(dial(always(authentication(code))));
    expect(error.code).toBe('POSTGRES_AUTHENTICATION');
    expect(error.message).toContain(`asks user repl for ${name}`);
    expect(error.hint).toContain('pg_hba.conf');
  });

  it('sends no password in clear, and never shows it', async () => {
    const clear = always(authentication(3));
    const error = await failure(dial(clear, { password: 'hush-hush' }));
    expect(error.code).toBe('POSTGRES_CLEARTEXT_REFUSED');
    expect(Buffer.concat(server?.requests ?? []).includes('hush-hush')).toBe(false);
    expect(JSON.stringify([error.message, error.hint, error.context, error.stack])).not.toContain('hush-hush');
  });

  it('sends a password in clear where that is allowed', async () => {
    const answer: Answer = (socket, _, turn) => socket.write(turn === 0 ? authentication(3) : welcome('16.1'));
    const connection = await dial(answer, { password: 'hush-hush', allowCleartextPassword: true });
    expect(server?.requests[1]).toEqual(message('p', 'hush-hush\0'));
    connection.abort(new PgmonetaError('CANCELLED', 'end'));
  });

  it('asks for a password to be stored when there is none', async () => {
    const error = await failure(dial(always(authentication(5, 'salt'))));
    expect(error.message).toContain('asks for the password of user repl, and none is stored');
    expect(error.hint).toContain('pgmoneta-admin user add -U repl');
  });

  it('does not believe a server that skips its part of SCRAM', async () => {
    const scram = authentication(10, 'SCRAM-SHA-256\0\0');
    const answer: Answer = (socket, _, turn) => socket.write(turn === 0 ? scram : welcome('16.1'));
    const error = await failure(dial(answer, { password: 'x' }));
    expect(error.message).toMatch(/failed to prove that it knows the password of user repl/);
  });

  it('insists on channel binding when it is told to', async () => {
    const required = { password: 'x', channelBinding: 'require' as const };
    for (const bytes of [authentication(10, 'SCRAM-SHA-256\0\0'), authentication(5, 'salt'), welcome('16.1')]) {
      const error = await failure(dial(always(bytes), required));
      expect(error.message).toContain('is required, but not possible: the link has no TLS');
      await server?.stop();
    }
  });

  it('recognises what is no PostgreSQL server', async () => {
    const http = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';
    const error = await failure(dial((socket) => socket.end(http)));
    expect(error.code).toBe('POSTGRES_PROTOCOL');
    expect(error.message).toContain('server primary (127.0.0.1:');
    expect(error.hint).toContain('check that host and port name a PostgreSQL server');
    await server?.stop();
    const tls = await failure(dial((socket) => socket.write(http), { sslmode: 'prefer' }));
    expect(tls.message).toContain('answered the request for TLS with something that PostgreSQL never sends');
  });

  it('refuses bytes that were slipped in before the encryption', async () => {
    const error = await failure(dial(always(Buffer.from('Sx')), { sslmode: 'require' }));
    expect(error.code).toBe('POSTGRES_PROTOCOL');
  });

  it('does not go on in clear when TLS is required and not offered', async () => {
    const error = await failure(dial(always(Buffer.from('N')), { sslmode: 'require' }));
    expect(error.code).toBe('POSTGRES_TLS');
    expect(error.message).toContain('offers no TLS, and sslmode is require');
    expect(error.hint).toContain('ssl = on');
    expect(server?.requests).toHaveLength(1);
  });

  it('gives up on a server that says nothing', async () => {
    const error = await failure(dial(() => {}, { connectTimeout: 0.2 }));
    expect(error.code).toBe('POSTGRES_TIMEOUT');
    expect(error.message).toContain('did not answer within 0.2 s (authenticating)');
    expect(error.retryable).toBe(true);
  });

  it('gives up when it is told to', async () => {
    const error = await failure(dial(() => {}, { signal: AbortSignal.timeout(100) }));
    expect(error.code).toBe('CANCELLED');
    await server?.stop();
    const early = await failure(dial(() => {}, { signal: AbortSignal.abort() }));
    expect(early.code).toBe('CANCELLED');
  });

  it('tells of a server that hangs up during the login', async () => {
    const error = await failure(dial((socket) => socket.destroy()));
    expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
    expect(error.message).toContain('broke during the login');
  });
});

describe('a connection, to a server of no real kind', () => {
  const welcomeThen = (reply: Buffer | ((socket: Socket) => void)): Answer => {
    return (socket, _, turn) => {
      if (turn === 0) socket.write(welcome('17.9'));
      else if (typeof reply === 'function') reply(socket);
      else socket.write(reply);
    };
  };

  it('says what was being done when the link broke', async () => {
    const connection = await dial(welcomeThen((socket) => socket.destroy()));
    let told: PgmonetaError | undefined;
    connection.onLost((error) => {
      told = error;
    });
    const error = await failure(connection.query('SELECT 1'));
    expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
    expect(error.message).toContain('broke during "SELECT 1"');
    expect(told).toBe(error);
    expect((await failure(connection.query('SELECT 2'))).code).toBe('POSTGRES_CONNECTION_LOST');
  });

  it('keeps what the server said before it hung up', async () => {
    const fatal = errorResponse({ S: 'FATAL', C: '57P01', M: 'terminating connection' });
    const connection = await dial(welcomeThen((socket) => socket.end(fatal)));
    const error = await failure(connection.query('SELECT 1'));
    expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
    expect(error.message).toContain('terminating connection [57P01]');
    expect(error.retryable).toBe(true);
  });

  it('refuses messages of unknown kinds', async () => {
    const connection = await dial(welcomeThen(message('!', 'what')));
    const error = await failure(connection.query('SELECT 1'));
    expect(error.code).toBe('POSTGRES_PROTOCOL');
    expect(error.message).toContain('sent a message of kind 0x21');
  });

  it('does not wait for ever for an answer', async () => {
    const connection = await dial(welcomeThen(() => {}));
    const work = connection.exchange({ doing: 'x', request: message('Q', 'x\0'), message: () => {}, timeout: 0.1 });
    expect((await failure(work)).code).toBe('POSTGRES_TIMEOUT');
    expect(connection.closed).toBe(true);
  });

  it('reads on when a copy ends while its receiver wants no more', async () => {
    const connection = await dial(welcomeThen(Buffer.concat([message('d', 'x'), message('Z', 'I')])));
    const copy = { data: () => false, drained: () => new Promise<void>(() => {}) };
    await connection.exchange({ doing: 'x', request: message('Q', 'x\0'), message: () => {}, copy });
    await connection.exchange({ doing: 'y', request: message('Q', 'y\0'), message: () => {}, timeout: 5 });
    await connection.close(100);
  });

  it('closes also when the other side does not', async () => {
    const connection = await dial(welcomeThen(() => {}));
    await connection.close(100);
    expect(connection.closed).toBe(true);
    await connection.close();
  });
});
