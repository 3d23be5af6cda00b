import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asPgmonetaError, type PgmonetaError } from '../../src/errors/index.js';
import { type Connection, type ConnectOptions, connect, runBaseBackup, SSL_MODES } from '../../src/postgres/index.js';
import { give, makeDirectory, removeDirectory, temporaryDirectory } from '../support/runtime.mjs';
import { type Server, startServer } from '../support/server.mjs';
import { CountingSink } from './postgres-sink.js';

const PASSWORD = 'secret';

/** A certificate authority in a directory, made with openssl. */
class Authority {
  readonly certificate: string;
  readonly #directory: string;

  constructor(directory: string, name: string) {
    this.#directory = makeDirectory(path.join(directory, name));
    this.certificate = path.join(this.#directory, 'ca.crt');
    const subject = ['-subj', `/CN=${name}`, '-keyout', path.join(this.#directory, 'ca.key')];
    this.#openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-out', this.certificate);
  }

  /** Issues a certificate; `digest` is the hash of its signature, which channel binding depends on. */
  issue(commonName: string, alternative?: string, digest = 'sha256'): { cert: string; key: string } {
    const base = path.join(this.#directory, `${commonName.replaceAll('.', '-')}-${digest}`);
    const [cert, key, request] = [`${base}.crt`, `${base}.key`, `${base}.csr`];
    this.#openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${commonName}`,
      '-keyout',
      key,
      '-out',
      request,
    );
    const extension = path.join(this.#directory, 'extension');
    writeFileSync(extension, alternative === undefined ? '' : `subjectAltName=${alternative}\n`);
    const signer = ['-CA', this.certificate, '-CAkey', path.join(this.#directory, 'ca.key'), '-CAcreateserial'];
    this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...signer,
      '-days',
      '2',
      `-${digest}`,
      '-extfile',
      extension,
      '-out',
      cert,
    );
    chmodSync(key, 0o600);
    return { cert, key };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

describe('TLS with PostgreSQL', () => {
  let directory: string;
  let authority: Authority;
  let stranger: Authority;
  let server: Server;

  beforeAll(async () => {
    directory = temporaryDirectory('tls');
    authority = new Authority(directory, 'authority');
    stranger = new Authority(directory, 'stranger');
    server = await startServer(17, {});
    await server.createReplicationRole('repl', PASSWORD);
    await server.createReplicationRole('carrier', PASSWORD);
    await use(authority.issue('localhost', 'DNS:localhost'));
  });
  beforeEach(() => allow('host all all all scram-sha-256', 'host replication all all scram-sha-256'));
  afterAll(async () => {
    await server?.remove();
    removeDirectory(directory);
  });

  async function reload(): Promise<void> {
    await server.sql('SELECT pg_reload_conf()');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }

  async function use({ cert, key }: { cert: string; key: string }): Promise<void> {
    give(key);
    for (const [name, value] of [
      ['ssl_cert_file', cert],
      ['ssl_key_file', key],
      ['ssl_ca_file', authority.certificate],
      ['ssl', 'on'],
    ]) {
      await server.sql(`ALTER SYSTEM SET ${name} = '${value}'`);
    }
    await reload();
  }

  async function allow(...lines: string[]): Promise<void> {
    writeFileSync(path.join(server.data, 'pg_hba.conf'), `local all postgres trust\n${lines.join('\n')}\n`);
    await reload();
  }

  function dial(change: Partial<ConnectOptions> = {}): Promise<Connection> {
    return connect({
      server: 'primary',
      host: 'localhost',
      port: server.port,
      user: 'repl',
      password: PASSWORD,
      ...change,
    });
  }

  async function failure(change: Partial<ConnectOptions>): Promise<PgmonetaError> {
    return dial(change).then(
      async (connection) => {
        await connection.close();
        throw new Error('the connection was made');
      },
      (error: unknown) => asPgmonetaError(error),
    );
  }

  /** Whether the link is encrypted, in the server's own words. */
  async function encrypted(change: Partial<ConnectOptions> = {}): Promise<boolean> {
    const connection = await dial(change);
    const { rows } = await connection.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(connection.encrypted).toBe(rows[0]?.[0] === 't');
    await connection.close();
    return connection.encrypted;
  }

  const trusting = () => ({ tls: { caFile: authority.certificate } });

  test('is used as sslmode says, when the server offers it', async () => {
    const used = await Promise.all(SSL_MODES.map((sslmode) => encrypted({ sslmode, ...trusting() })));
    expect(Object.fromEntries(SSL_MODES.map((mode, index) => [mode, used[index]]))).toEqual({
      disable: false,
      allow: false,
      prefer: true,
      require: true,
      'verify-ca': true,
      'verify-full': true,
    });
    expect(await encrypted({ sslmode: 'prefer' })).toBe(true);
    expect(await encrypted({ sslmode: 'require' })).toBe(true);
  });

  test('follows pg_hba.conf in the modes that leave the choice to the server', async () => {
    await allow('hostssl all all all scram-sha-256');
    expect(await encrypted({ sslmode: 'allow' })).toBe(true);
    const refused = await failure({ sslmode: 'disable' });
    expect(refused.code).toBe('POSTGRES_NO_HBA_ENTRY');
    await allow('hostnossl all all all scram-sha-256');
    expect(await encrypted({ sslmode: 'prefer' })).toBe(false);
    const error = await failure({ sslmode: 'require' });
    expect(error.code).toBe('POSTGRES_NO_HBA_ENTRY');
    expect(error.hint).toContain('hostssl postgres repl 127.0.0.1/32 scram-sha-256');
    await allow();
    expect((await failure({ sslmode: 'prefer' })).hint).toContain('hostssl postgres repl');
  });

  test('refuses a certificate of somebody else, in every mode that verifies', async () => {
    for (const sslmode of ['prefer', 'require', 'verify-ca', 'verify-full'] as const) {
      const error = await failure({ sslmode, tls: { caFile: stranger.certificate } });
      expect(error.code).toBe('POSTGRES_TLS_UNTRUSTED');
      expect(error.hint).toContain('tls_ca_file in [primary]');
    }
    const builtIn = await failure({ sslmode: 'verify-ca' });
    expect(builtIn.code).toBe('POSTGRES_TLS_UNTRUSTED');
  });

  test('looks at the name only in verify-full', async () => {
    const address = { host: '127.0.0.1', ...trusting() };
    expect(await encrypted({ sslmode: 'verify-ca', ...address })).toBe(true);
    const error = await failure({ sslmode: 'verify-full', ...address });
    expect(error.code).toBe('POSTGRES_TLS_UNTRUSTED');
    expect(error.message).toContain('is made out to another name');
    expect(error.hint).toContain('sslmode = verify-ca');
  });

  test('binds SCRAM to the channel, whatever the hash of the certificate', async () => {
    expect(await encrypted({ sslmode: 'require', channelBinding: 'require' })).toBe(true);
    expect(await encrypted({ sslmode: 'require', channelBinding: 'disable' })).toBe(true);
    await use(authority.issue('localhost', 'DNS:localhost', 'sha512'));
    expect(await encrypted({ sslmode: 'verify-full', channelBinding: 'require', ...trusting() })).toBe(true);
    const plain = await failure({ sslmode: 'disable', channelBinding: 'require' });
    expect(plain.message).toContain('the link has no TLS');
    await allow('hostssl all all all trust');
    expect((await failure({ sslmode: 'require', channelBinding: 'require' })).message).toContain('no SCRAM at all');
  });

  test('logs in with a client certificate', async () => {
    await allow('hostssl all carrier all cert', 'hostssl replication carrier all cert');
    const own = authority.issue('carrier');
    const tls = { certFile: own.cert, keyFile: own.key, caFile: authority.certificate };
    expect(await encrypted({ user: 'carrier', password: undefined, sslmode: 'verify-full', tls })).toBe(true);
    const without = await failure({ user: 'carrier', sslmode: 'require' });
    expect(without.code).toBe('POSTGRES_TLS');
    expect(without.hint).toContain('tls_cert_file and tls_key_file in [primary]');
    const others = authority.issue('someone.else');
    const wrong = await failure({
      user: 'carrier',
      sslmode: 'require',
      tls: { certFile: others.cert, keyFile: others.key },
    });
    expect(wrong.code).toBe('POSTGRES_AUTHENTICATION');
  });

  test('refuses keys that others can read, halves of pairs, and files that are missing or no PEM', async () => {
    const { cert, key } = authority.issue('repl');
    const half = await failure({ tls: { certFile: cert } });
    expect(half.message).toContain('only one of tls_cert_file and tls_key_file');
    chmodSync(key, 0o644);
    const open = await failure({ tls: { certFile: cert, keyFile: key } });
    expect(open.hint).toBe(`run: chmod 0600 ${key}`);
    const missing = await failure({ tls: { caFile: `${cert}.gone` } });
    expect(missing.message).toContain(
      `tls_ca_file of server primary (localhost:${server.port}) cannot be read: ${cert}.gone (ENOENT)`,
    );
    chmodSync(key, 0o600);
    const swapped = await failure({ tls: { certFile: key, keyFile: key } });
    expect(swapped.code).toBe('POSTGRES_TLS');
  });

  test('sends passwords in clear through it', async () => {
    await allow('hostssl all all all password');
    expect(await encrypted({ sslmode: 'require' })).toBe(true);
  });

  test('carries a base backup, with back-pressure, and is cancelled like any other', async () => {
    const connection = await dial({ replication: true, sslmode: 'verify-full', ...trusting() });
    const sink = new CountingSink();
    let stops = 0;
    sink.onData = () => stops > 3 || sink.bytes < (stops + 1) * 1_000_000;
    sink.onDrained = async () => {
      stops++;
      const before = sink.bytes;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(sink.bytes).toBe(before);
    };
    await runBaseBackup(connection, { label: 'tls' }, sink);
    expect(stops).toBe(4);
    expect(sink.compare().filter(({ listed, received }) => listed !== received)).toEqual([]);
    await connection.close();
    const sleeper = await dial({ sslmode: 'require' });
    const sleeping = sleeper.query('SELECT pg_sleep(20)');
    setTimeout(() => sleeper.cancel(), 100);
    await expect(sleeping).rejects.toMatchObject({ code: 'POSTGRES_QUERY_CANCELLED' });
    await sleeper.close();
  });

  test('falls back to a link in clear only where the mode allows it, when the server has none', async () => {
    await server.sql('ALTER SYSTEM SET ssl = off');
    await reload();
    expect(await encrypted({ sslmode: 'prefer' })).toBe(false);
    for (const sslmode of ['require', 'verify-ca', 'verify-full'] as const) {
      const error = await failure({ sslmode });
      expect(error.code).toBe('POSTGRES_TLS');
      expect(error.hint).toContain('set ssl = on');
    }
  });
});
