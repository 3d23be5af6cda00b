import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/lib/servers.mjs';
import { asPgmonetaError, type PgmonetaError } from '../../src/errors/index.js';
import {
  type BaseBackupOptions,
  type Connection,
  type ConnectOptions,
  connect,
  formatLsn,
  runBaseBackup,
} from '../../src/postgres/index.js';
import { until } from '../support/processes.mjs';
import { FaultProxy } from '../support/proxy.mjs';
import { type Server, startServer } from '../support/server.mjs';
import { CountingSink } from './postgres-sink.js';

const PASSWORD = 'a password';

function replication(server: Server, change: Partial<ConnectOptions> = {}): Promise<Connection> {
  const { host, port } = server;
  return connect({ server: 'primary', host, port, user: 'repl', password: PASSWORD, replication: true, ...change });
}

async function failure(work: Promise<unknown>): Promise<PgmonetaError> {
  return work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: unknown) => asPgmonetaError(error),
  );
}

describe.each(MAJORS)('BASE_BACKUP of PostgreSQL %i', (major) => {
  let server: Server;
  let tablespace: string;

  beforeAll(async () => {
    server = await startServer(major, { settings: { autovacuum: 'off' } });
    await server.createReplicationRole('repl', PASSWORD);
    tablespace = await server.createTablespace('other disk');
    await server.sql(
      `CREATE TABLE far TABLESPACE "other disk" AS SELECT g, repeat('x', 100) FROM generate_series(1, 50000) g`,
    );
    await server.sql('CREATE TABLE near AS SELECT g, md5(g::text) FROM generate_series(1, 100000) g');
  });
  afterAll(() => server?.remove());

  async function take(options: Partial<BaseBackupOptions>, sink = new CountingSink(), change = {}) {
    const connection = await replication(server, change);
    try {
      return { sink, result: await runBaseBackup(connection, { label: "it's a test", ...options }, sink), connection };
    } finally {
      await connection.close();
    }
  }

  test.each(['TCP', 'Unix socket'])('brings every file of the manifest, over %s', async (way) => {
    const change = way === 'TCP' ? {} : { host: server.socketDirectory };
    const { sink, result } = await take({}, new CountingSink(), change);
    const oid = await server.value(`SELECT oid FROM pg_tablespace WHERE spcname = 'other disk'`);
    expect([...sink.archives].map(([name, { path }]) => [name, path])).toEqual([
      [`${oid}.tar`, tablespace],
      ['base.tar', null],
    ]);
    expect(sink.started?.tablespaces.map((entry) => [entry.oid, entry.location])).toEqual([
      [Number(oid), tablespace],
      [null, null],
    ]);
    expect(sink.started?.tablespaces[0]?.sizeKb).toBeGreaterThan(5000);
    expect(sink.ended).toBe(2);
    for (const { tar } of sink.archives.values()) expect(tar.complete).toBe(true);
    const files = sink.compare();
    expect(files.length).toBeGreaterThan(900);
    expect(files.filter(({ listed, received }) => listed !== received)).toEqual([]);
    expect(files.some(({ path }) => path.startsWith(`pg_tblspc/${oid}/PG_${major}_`))).toBe(true);
    expect(sink.archives.get('base.tar')?.tar.links.get(`pg_tblspc/${oid}`)).toBe(tablespace);
    expect(result.archiveBytes).toBe(sink.bytes);
    expect(result.manifestBytes).toBe(sink.manifestText.length);
    expect(result.notes).toEqual([]);
  });

  test('tells where it starts and ends, as the manifest does, and brings that WAL', async () => {
    const { sink, result } = await take({});
    const manifest = JSON.parse(sink.manifestText) as { 'WAL-Ranges': Record<string, unknown>[] };
    expect(manifest['WAL-Ranges']).toEqual([
      { Timeline: 1, 'Start-LSN': formatLsn(result.startLsn), 'End-LSN': formatLsn(result.endLsn) },
    ]);
    expect([result.startTimeline, result.endTimeline]).toEqual([1, 1]);
    const segment = await server.value(`SELECT pg_walfile_name('${formatLsn(result.startLsn)}')`);
    expect(sink.archives.get('base.tar')?.tar.files.get(`pg_wal/${segment}`)).toBe(16 * 1024 * 1024);
  });

  test('reports progress up to the size that was announced', async () => {
    const { sink } = await take({});
    const announced = (sink.started?.tablespaces ?? []).reduce((sum, { sizeKb }) => sum + (sizeKb ?? 0) * 1024, 0);
    expect(sink.progressed.length).toBeGreaterThan(1);
    expect(sink.progressed).toEqual([...sink.progressed].sort((a, b) => a - b));
    expect((sink.progressed.at(-1) ?? 0) / announced).toBeGreaterThan(0.9);
  });

  test('takes the checksums that were asked for, and the limits of PostgreSQL for the rate', async () => {
    const { sink, result } = await take({ manifestChecksums: 'sha256', maxRateBytes: 8 * 1024 ** 3 });
    expect(sink.manifestText).toContain('"Checksum-Algorithm": "SHA256"');
    expect(result.notes).toEqual([expect.stringContaining('1 GB/s is used')]);
    const without = await take({ manifestChecksums: 'none', progress: false });
    expect(without.sink.manifestText).not.toContain('Checksum-Algorithm');
    expect(without.sink.started?.tablespaces.every(({ sizeKb }) => sizeKb === null)).toBe(true);
  });

  test('leaves the connection usable, and the server without a running backup', async () => {
    const connection = await replication(server);
    for (let round = 0; round < 2; round++) await runBaseBackup(connection, { label: 'again' }, new CountingSink());
    expect((await connection.query('SHOW server_version')).rows[0]?.[0]).toMatch(new RegExp(`^${major}`));
    await connection.close();
  });

  test('stops reading while the sink is full', async () => {
    const sink = new CountingSink();
    const seen: number[] = [];
    let stops = 0;
    sink.onData = () => {
      seen.push(sink.bytes);
      return stops >= 5 || sink.bytes < (stops + 1) * 1_000_000;
    };
    sink.onDrained = async () => {
      stops++;
      const before = sink.bytes;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(sink.bytes).toBe(before);
    };
    const { result } = await take({}, sink);
    expect(stops).toBe(5);
    expect(result.archiveBytes).toBe(sink.bytes);
    expect(sink.compare().filter(({ listed, received }) => listed !== received)).toEqual([]);
  });

  test('ends with what the sink throws, at once and on the server too', async () => {
    const broken = new CountingSink();
    broken.onData = () => {
      throw new Error('the disk is full');
    };
    expect((await failure(take({}, broken))).message).toContain('the disk is full');
    const stuck = new CountingSink();
    stuck.onData = () => false;
    stuck.onDrained = () => Promise.reject(new Error('the pool died'));
    expect((await failure(take({}, stuck))).message).toContain('the pool died');
    const early = new CountingSink();
    early.start = () => Promise.reject(new Error('there is no space'));
    expect((await failure(take({}, early))).message).toContain('there is no space');
    await noSender();
  });

  async function noSender(): Promise<void> {
    await until(
      'the end of all walsenders',
      async () => (await server.value('SELECT count(*) FROM pg_stat_replication')) === '0',
    );
  }

  test('is cancelled on the server too', async () => {
    const controller = new AbortController();
    const sink = new CountingSink();
    sink.onData = () => {
      controller.abort();
      return true;
    };
    const error = await failure(take({ maxRateBytes: 1024 * 1024, signal: controller.signal }, sink));
    expect(error.code).toBe('CANCELLED');
    expect(error.message).toContain('the backup of server primary');
    await noSender();
  });

  test('tells of a link that is torn, and of a server that falls silent', async () => {
    const proxy = await FaultProxy.start(server);
    const torn = { host: '127.0.0.1', port: proxy.port, sslmode: 'disable' };
    try {
      proxy.tearAfter = 3_000_000;
      const error = await failure(take({}, new CountingSink(), torn));
      expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
      expect(error.message).toContain('broke during BASE_BACKUP');
      expect(error.retryable).toBe(true);
      const sink = new CountingSink();
      sink.onData = () => {
        proxy.stalled = true;
        return true;
      };
      const silent = await failure(take({ inactivityTimeout: 1 }, sink, torn));
      expect(silent.code).toBe('POSTGRES_STALLED');
      expect(silent.message).toContain('has sent nothing for 1 s during BASE_BACKUP');
    } finally {
      await proxy.close();
    }
  });

  test('is compressed by the server from 15 on; before, the version is named', async () => {
    const options = { serverCompression: { algorithm: 'gzip', level: 1 } } as const;
    if (major < 15) {
      const error = await failure(take(options));
      expect(error.code).toBe('POSTGRES_UNSUPPORTED');
      expect(error.hint).toContain('compression = zstd');
      return;
    }
    const plain = await take({});
    const { sink } = await take(options, new CountingSink(false));
    expect([...sink.archives.keys()].at(-1)).toBe('base.tar.gz');
    expect(sink.bytes).toBeLessThan(plain.sink.bytes / 2);
  });

  test('tells of a server that dies in the middle', async () => {
    const sink = new CountingSink();
    let killed: Promise<unknown> | undefined;
    sink.onData = () => {
      killed ??= server.stop('immediate');
      return true;
    };
    const error = await failure(take({ maxRateBytes: 1024 * 1024 }, sink));
    await killed;
    expect(error.code).toBe('POSTGRES_CONNECTION_LOST');
    expect(error.hint).toMatch(/server log/);
    await server.start();
    expect((await take({})).sink.ended).toBe(2);
  });
});
