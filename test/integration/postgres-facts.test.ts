import { afterAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/lib/servers.mjs';
import { asPgmonetaError } from '../../src/errors/index.js';
import {
  checkReady,
  connect,
  identifySystem,
  probeServer,
  queryFacts,
  requireReady,
  runBaseBackup,
  type ServerAddress,
  type ServerFacts,
} from '../../src/postgres/index.js';
import { until } from '../support/processes.mjs';
import { type Server, type ServerOptions, startServer } from '../support/server.mjs';
import { CountingSink } from './postgres-sink.js';

const PASSWORD = 'secret';
const MB = 1024 * 1024;

function address({ host, port }: Server, user = 'repl'): ServerAddress {
  return {
    name: 'primary',
    host,
    port,
    user,
    sslmode: 'prefer',
    channel_binding: 'prefer',
    tls_cert_file: null,
    tls_key_file: null,
    tls_ca_file: null,
  };
}

const servers: Server[] = [];

async function start(major: number, options: ServerOptions = {}): Promise<Server> {
  const server = await startServer(major, options);
  servers.push(server);
  await server.createReplicationRole('repl', PASSWORD);
  return server;
}

afterAll(async () => {
  for (const server of servers) await server.remove();
});

async function factsOf(server: Server, user = 'repl'): Promise<ServerFacts> {
  const connection = await connect({ host: server.socketDirectory, port: server.port, user, password: PASSWORD });
  try {
    return await queryFacts(connection);
  } finally {
    await connection.close();
  }
}

const codes = (facts: ServerFacts, purpose: Parameters<typeof checkReady>[1]) =>
  checkReady(facts, purpose, 'primary').map(({ code }) => code);

describe.each(MAJORS)('facts of PostgreSQL %i', (major) => {
  test('are those that the server was made with', async () => {
    const server = await start(major, { initdb: ['--wal-segsize=4'], settings: { track_commit_timestamp: 'on' } });
    const location = await server.createTablespace('odd "name"');
    const facts = await probeServer(address(server), PASSWORD);
    const settings = await server.sql('SELECT system_identifier FROM pg_control_system()');
    expect(facts).toMatchObject({
      majorVersion: major,
      systemIdentifier: settings[0]?.[0],
      timeline: 1,
      inRecovery: false,
      walLevel: 'replica',
      maxWalSenders: 10,
      maxReplicationSlots: 10,
      dataChecksums: true,
      walSegmentSize: 4 * MB,
      segmentSize: 1024 * MB,
      blockSize: 8192,
      relsegSize: 131072,
      summarizeWal: major >= 17 ? false : null,
      trackCommitTimestamp: true,
      dataDirectory: null,
      user: 'repl',
      isSuperuser: false,
      isReplication: true,
      extensionVersion: null,
      tablespaces: [{ oid: expect.any(Number), name: 'odd "name"', location, inPlace: false }],
    });
    expect(facts.versionText).toMatch(new RegExp(`^${major}\\.${facts.minorVersion}`));
    await server.sql('GRANT pg_read_all_settings TO repl');
    expect((await factsOf(server)).dataDirectory).toBe(server.data);
    expect(codes(facts, 'backup')).toEqual([]);
    expect(codes(facts, 'wal')).toEqual([]);
    expect(codes(facts, 'server-compression')).toEqual(major < 15 ? ['POSTGRES_UNSUPPORTED'] : []);
    // Too old, or summarize_wal is off.
    expect(codes(facts, 'incremental')).toEqual(['POSTGRES_UNSUPPORTED']);
  });
});

describe('a server that is not set up for backups', () => {
  test('is refused for backups, with the settings to change, and is still readable', async () => {
    const server = await start(17, {
      settings: { wal_level: 'minimal', max_wal_senders: 0, max_replication_slots: 0 },
    });
    await server.sql('CREATE ROLE plain LOGIN PASSWORD $$secret$$');
    const facts = await factsOf(server, 'plain');
    expect(codes(facts, 'backup')).toEqual(['POSTGRES_WAL_LEVEL', 'POSTGRES_WAL_LEVEL', 'POSTGRES_NOT_REPLICATION']);
    expect(codes(facts, 'wal')).toContain('POSTGRES_SLOTS_EXHAUSTED');
    expect(() => requireReady(facts, 'backup', 'primary')).toThrow('server primary has wal_level = minimal');
    const error = await probeServer(address(server), PASSWORD).catch(asPgmonetaError);
    expect(error).toMatchObject({ code: 'POSTGRES_WAL_LEVEL', hint: expect.stringContaining('wal_level = replica') });
  });
});

describe('a server in between', () => {
  test('that is shutting down can be tried again', async () => {
    const server = await start(17);
    const holder = await server.connect();
    const stopped = server.stop('smart');
    const dial = () => connect({ host: server.host, port: server.port, user: 'repl', password: PASSWORD });
    await until('the refusal', async () => {
      const answer = await dial().then(
        (connection) => connection.close(),
        (error: unknown) => asPgmonetaError(error),
      );
      return answer !== undefined && answer.code === 'POSTGRES_NOT_READY' && answer.retryable;
    });
    await holder.end();
    await stopped;
  });

  test('that ends a backup by shutting down says so', async () => {
    const server = await start(17);
    await server.sql("CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
    const { host, port } = server;
    const connection = await connect({ host, port, user: 'repl', password: PASSWORD, replication: true });
    const sink = new CountingSink();
    sink.onData = () => {
      void server.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      sink.onData = () => true;
      return true;
    };
    const work = runBaseBackup(connection, { label: 'x', maxRateBytes: MB }, sink);
    await expect(work).rejects.toMatchObject({
      code: 'POSTGRES_CONNECTION_LOST',
      message: expect.stringContaining('[57P01]'),
    });
  });

  test('whose pages are damaged fails the backup', async () => {
    const server = await start(17);
    await server.sql("CREATE TABLE damaged AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
    const file = await server.value("SELECT pg_relation_filepath('damaged')");
    await server.stop();
    const { open } = await import('node:fs/promises');
    const handle = await open(`${server.data}/${file}`, 'r+');
    await handle.write(Buffer.from('damage'), 0, 6, 8192 * 3 + 4000);
    await handle.close();
    await server.start();
    const { host, port } = server;
    const connection = await connect({ host, port, user: 'repl', password: PASSWORD, replication: true });
    await expect(runBaseBackup(connection, { label: 'x' }, new CountingSink())).rejects.toMatchObject({
      code: 'CORRUPT',
      hint: expect.stringContaining('keep your older backups'),
    });
    expect(connection.notices.some(({ message }) => message.includes('checksum verification failed'))).toBe(true);
    expect((await identifySystem(connection)).timeline).toBe(1);
    await connection.close();
  });
});
