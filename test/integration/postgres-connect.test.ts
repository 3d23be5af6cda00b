import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asPgmonetaError, type PgmonetaError } from '../../src/errors/index.js';
import {
  type Connection,
  type ConnectOptions,
  connect,
  formatLsn,
  identifySystem,
  quoteIdentifier,
  quoteLiteral,
} from '../../src/postgres/index.js';
import { until } from '../support/processes.mjs';
import { freePort, type Server, startServer } from '../support/server.mjs';

const PASSWORD = "pass'word \u00fc";

/** The oldest and the newest version: their messages differ. */
describe.each([14, 18])('connecting to PostgreSQL %i', (major) => {
  let server: Server;

  /** Replaces pg_hba.conf; the superuser of the tests always gets in. */
  async function allow(...lines: string[]): Promise<void> {
    writeFileSync(path.join(server.data, 'pg_hba.conf'), `local all postgres trust\n${lines.join('\n')}\n`);
    await server.sql('SELECT pg_reload_conf()');
    // The postmaster takes a moment to read it.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }

  function dial(change: Partial<ConnectOptions> = {}): Promise<Connection> {
    const { host, port } = server;
    return connect({ server: 'primary', host, port, user: 'repl', password: PASSWORD, ...change });
  }

  async function failure(change: Partial<ConnectOptions> = {}): Promise<PgmonetaError> {
    return dial(change).then(
      async (connection) => {
        await connection.close();
        throw new Error('the connection was made');
      },
      (error: unknown) => asPgmonetaError(error),
    );
  }

  async function works(change: Partial<ConnectOptions> = {}): Promise<void> {
    const connection = await dial(change);
    expect(connection.version.major).toBe(major);
    await connection.close();
  }

  beforeAll(async () => {
    server = await startServer(major, {
      settings: { max_wal_senders: 2, max_connections: 20, max_replication_slots: 1 },
    });
    await server.createReplicationRole('repl', PASSWORD);
    await server.sql(`CREATE ROLE plain LOGIN PASSWORD ${quoteLiteral(PASSWORD)}`);
    await server.sql(`SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD ${quoteLiteral(PASSWORD)}`);
    await server.sql('CREATE ROLE locked NOLOGIN');
  });
  beforeEach(() => allow('host all all all scram-sha-256', 'host replication all all scram-sha-256'));
  afterAll(() => server?.remove());

  describe('logs in', () => {
    test('with SCRAM, over TCP and for replication', async () => {
      await works();
      await works({ replication: true });
      await works({ host: 'localhost' });
    });

    test('with MD5', async () => {
      await allow('host all all all md5');
      await works({ user: 'old' });
      await works();
    });

    test('without a password, where that is allowed', async () => {
      await allow('host all all all trust');
      await works({ password: undefined });
    });

    test('over a Unix socket, where a password may go in clear', async () => {
      await allow('local all all password');
      await works({ host: server.socketDirectory });
      await works({ host: `${server.socketDirectory}/`, sslmode: 'verify-full' });
    });

    test('with a password in clear over TCP only when told so', async () => {
      await allow('host all all all password');
      const error = await failure();
      expect(error.code).toBe('POSTGRES_CLEARTEXT_REFUSED');
      expect(error.hint).toContain('sslmode = require in [primary] in pgmoneta.conf');
      await works({ allowCleartextPassword: true });
    });
  });

  describe('tells what is wrong:', () => {
    test('nobody listens', async () => {
      const port = await freePort();
      const tcp = await failure({ port });
      expect(tcp.code).toBe('POSTGRES_UNREACHABLE');
      expect(tcp.message).toBe(
        `server primary (127.0.0.1:${port}) cannot be reached: nobody listens there (ECONNREFUSED)`,
      );
      expect(tcp.hint).toContain('listen_addresses');
      const both = await failure({ host: 'localhost', port });
      expect(both.code).toBe('POSTGRES_UNREACHABLE');
      const unix = await failure({ host: server.socketDirectory, port });
      expect(unix.code).toBe('POSTGRES_UNREACHABLE');
      expect(unix.message).toContain(`socket ${server.socketDirectory}/.s.PGSQL.${port}`);
      expect(unix.hint).toContain('unix_socket_directories');
    });

    test('the host is not known', async () => {
      const error = await failure({ host: 'no-such-host.invalid' });
      expect(error.code).toBe('POSTGRES_HOST_UNKNOWN');
      expect(error.hint).toContain('correct host in [primary]');
    });

    test('pg_hba.conf has no entry, or rejects', async () => {
      await allow('host nowhere repl all trust');
      const plain = await failure();
      expect(plain.code).toBe('POSTGRES_NO_HBA_ENTRY');
      expect(plain.hint).toContain('host postgres repl 127.0.0.1/32 scram-sha-256');
      const error = await failure({ replication: true });
      expect(error.message).toContain('has no entry that lets user repl in for replication');
      expect(error.hint).toContain('host replication repl 127.0.0.1/32 scram-sha-256');
      const local = await failure({ replication: true, host: server.socketDirectory });
      expect(local.hint).toContain('local replication repl scram-sha-256');
      await allow('host all all all reject');
      const rejected = await failure();
      expect(rejected.code).toBe('POSTGRES_NO_HBA_ENTRY');
      expect(rejected.message).toContain('pg_hba.conf rejects connections of user repl');
    });

    test('the line that it asks for is the one that helps', async () => {
      await allow();
      for (const change of [{}, { replication: true }, { replication: true, host: server.socketDirectory }]) {
        const line = /add this line to pg_hba\.conf of the server: (.*) - then/.exec(
          (await failure(change)).hint ?? '',
        )?.[1];
        await allow(line as string);
        await works(change);
        await allow();
      }
    });

    test('the password is wrong, or missing', async () => {
      const wrong = await failure({ password: 'not-this-one' });
      expect(wrong.code).toBe('POSTGRES_AUTHENTICATION');
      expect(wrong.message).toContain('the password of user repl was not accepted');
      expect(wrong.hint).toContain('pgmoneta-admin user edit -U repl');
      expect(`${wrong.message} ${wrong.hint} ${JSON.stringify(wrong.context)}`).not.toContain('not-this-one');
      expect((await failure({ password: undefined })).hint).toContain('pgmoneta-admin user add');
      await allow('host all all all md5');
      expect((await failure({ user: 'old', password: 'x' })).code).toBe('POSTGRES_AUTHENTICATION');
    });

    test('the role does not exist, or may not log in', async () => {
      await allow('host all all all trust');
      const unknown = await failure({ user: 'nobody here' });
      expect(unknown.code).toBe('POSTGRES_ROLE_UNKNOWN');
      expect(unknown.hint).toContain('CREATE ROLE "nobody here" LOGIN REPLICATION');
      const locked = await failure({ user: 'locked' });
      expect(locked.hint).toContain('ALTER ROLE "locked" LOGIN;');
    });

    test('the database does not exist, or is closed to the role', async () => {
      const missing = await failure({ database: 'nowhere' });
      expect(missing.code).toBe('POSTGRES_DATABASE_MISSING');
      await server.sql('CREATE DATABASE closed');
      await server.sql('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
      const closed = await failure({ database: 'closed' });
      expect(closed.code).toBe('POSTGRES_PERMISSION');
      expect(closed.hint).toContain('GRANT CONNECT ON DATABASE "closed" TO "repl";');
    });

    test('the role has no REPLICATION', async () => {
      const error = await failure({ user: 'plain', replication: true });
      expect(error.code).toBe('POSTGRES_NOT_REPLICATION');
      expect(error.hint).toBe('run as superuser: ALTER ROLE "plain" REPLICATION;');
    });

    test('all walsenders are taken', async () => {
      const held = [await dial({ replication: true }), await dial({ replication: true })];
      const error = await failure({ replication: true });
      expect(error.code).toBe('POSTGRES_TOO_MANY_CONNECTIONS');
      expect(error.hint).toContain('raise max_wal_senders');
      expect(error.retryable).toBe(true);
      for (const connection of held) await connection.close();
    });

    test('all connections are taken', async () => {
      await server.sql('ALTER ROLE plain CONNECTION LIMIT 1');
      const held = await dial({ user: 'plain' });
      const error = await failure({ user: 'plain' });
      expect(error.code).toBe('POSTGRES_TOO_MANY_CONNECTIONS');
      expect(error.hint).toContain('ALTER ROLE "plain" CONNECTION LIMIT -1;');
      await held.close();
    });

    test('the slots are taken, missing, or in use', async () => {
      const connection = await dial({ replication: true });
      const create = (name: string) => connection.query(`CREATE_REPLICATION_SLOT ${quoteIdentifier(name)} PHYSICAL`);
      const failing = (work: Promise<unknown>) =>
        work.then(() => Promise.reject(new Error('it worked')), asPgmonetaError);
      await create('one');
      const full = await failing(create('two'));
      expect(full.code).toBe('POSTGRES_SLOTS_EXHAUSTED');
      expect(full.hint).toContain('max_replication_slots');
      const { position } = await identifySystem(connection);
      const stream = (slot: string) =>
        `START_REPLICATION SLOT ${slot} PHYSICAL ${formatLsn(position - (position % 0x1000000n))}`;
      const missing = await failing(connection.query(stream('nowhere')));
      expect(missing.code).toBe('POSTGRES_SLOT_MISSING');
      const other = await dial({ replication: true });
      const streaming = other.query(stream('one')).catch(asPgmonetaError);
      await until(
        'the slot in use',
        async () => (await server.value('SELECT active FROM pg_replication_slots')) === 't',
      );
      const active = await failing(connection.query(stream('one')));
      expect(active.code).toBe('POSTGRES_SLOT_ACTIVE');
      await other.close();
      await streaming;
      await connection.close();
      await until('the slot free', async () => (await server.value('SELECT active FROM pg_replication_slots')) === 'f');
      await server.sql("SELECT pg_drop_replication_slot('one')");
    });
  });

  describe('a connection', () => {
    test('takes parameters, whatever is in them', async () => {
      const connection = await dial();
      const text = 'a \'quoted\' "text" \\ with $1 and \u20ac';
      const { columns, rows } = await connection.query(
        'SELECT $1::text AS a, $2::int + 1 AS b, $3::bytea AS c, $4::text AS d',
        [text, 41, Buffer.from([0, 255]), null],
      );
      expect(columns).toEqual(['a', 'b', 'c', 'd']);
      expect(rows).toEqual([[text, '42', '\\x00ff', null]]);
      const quoted = await connection.query(`SELECT ${quoteLiteral(text)} AS ${quoteIdentifier('odd "name"')}`);
      expect(quoted).toEqual({ columns: ['odd "name"'], rows: [[text]] });
      await connection.close();
    });

    test('runs what it is given one after the other, and survives errors', async () => {
      const connection = await dial();
      const [first, broken, last] = await Promise.allSettled([
        connection.query('SELECT pg_sleep(0.1), 1'),
        connection.query('SELECT 1/0'),
        connection.query('SELECT 3'),
      ]);
      expect(first?.status).toBe('fulfilled');
      expect(broken).toMatchObject({ reason: { code: 'POSTGRES_QUERY', message: expect.stringContaining('[22012]') } });
      expect(last).toMatchObject({ value: { rows: [['3']] } });
      await connection.query("DO $$ BEGIN RAISE WARNING 'look out'; END $$");
      expect(connection.notices.at(-1)).toMatchObject({ severity: 'WARNING', message: 'look out' });
      await connection.close();
    });

    test('reads rows that are larger than its buffer', async () => {
      const connection = await dial();
      const { rows } = await connection.query("SELECT repeat('x', 3000000), g FROM generate_series(1, 3) g");
      expect(rows.map((row) => [row[0]?.length, row[1]])).toEqual([1, 2, 3].map((g) => [3000000, String(g)]));
      await connection.close();
    });

    test('ends statements that take too long, and those that are cancelled', async () => {
      const limited = await dial({ statementTimeout: 0.2 });
      await expect(limited.query('SELECT pg_sleep(20)')).rejects.toMatchObject({ code: 'POSTGRES_QUERY_CANCELLED' });
      await limited.close();
      const connection = await dial();
      const sleeping = connection.query('SELECT pg_sleep(20)');
      setTimeout(() => connection.cancel(), 100);
      await expect(sleeping).rejects.toMatchObject({ code: 'POSTGRES_QUERY_CANCELLED' });
      expect((await connection.query('SELECT 1')).rows).toEqual([['1']]);
      await connection.close();
    });

    test('tells when an administrator ends it', async () => {
      const connection = await dial();
      const lost = new Promise<PgmonetaError>((resolve) => connection.onLost(resolve));
      await server.sql(`SELECT pg_terminate_backend(${connection.processId})`);
      const error = await lost;
      expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
      expect(error.message).toContain('[57P01]');
      expect(connection.closed).toBe(true);
    });

    test('keeps up with parameters that change', async () => {
      const connection = await dial();
      await connection.query("SET application_name = 'changed'");
      expect(connection.parameters.get('application_name')).toBe('changed');
      expect(await server.value('SELECT count(*) FROM pg_stat_activity WHERE application_name = $$changed$$')).toBe(
        '1',
      );
      await connection.close();
      await until('the end of the session', async () => {
        return (
          (await server.value('SELECT count(*) FROM pg_stat_activity WHERE application_name = $$changed$$')) === '0'
        );
      });
    });
  });
});
