import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { signal, until } from '../support/processes.mjs';
import { FaultProxy } from '../support/proxy.mjs';
import { give, makeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { caughtUp, lsnNumber, proveArchive, walOnDisk, walStatus } from '../support/wal.mjs';

const MEBIBYTE = 1024 * 1024;

/** Fills some WAL: about `megabytes` of it. The last record is that of a commit, so that all of it is flushed. */
async function write(scene: Scene, megabytes: number): Promise<void> {
  await scene.server.sql(
    `SELECT pg_logical_emit_message(true, 'test', repeat(md5(i::text), 32 * 1024)) FROM generate_series(1, ${megabytes}) i`,
  );
}

async function streaming(scene: Scene, name = 'primary') {
  await until(
    'the receiver streaming',
    async () => (await walStatus(scene.pgmoneta, name)).WalReceiver === 'streaming',
  );
}

describe.each([
  [14, 16, { compression: 'none', encryption: 'none' }],
  [15, 16, { compression: 'lz4', encryption: 'aes-128-ctr' }],
  [16, 64, { compression: 'gzip', encryption: 'aes-256-cbc' }],
  [17, 1, { compression: 'zstd', encryption: 'aes-256-gcm' }],
  [18, 1, { compression: 'none', encryption: 'aes-192-gcm' }],
] as const)('WAL of PostgreSQL %i with segments of %i MB', (major, megabytes, settings) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open(major, {
      workload: false,
      settings,
      server: { initdb: [`--wal-segsize=${megabytes}`] },
    });
    await streaming(scene);
  });
  afterAll(() => scene?.close());

  test('is received, kept and whole', async () => {
    await write(scene, 2 * megabytes + 1);
    const end = await caughtUp(scene.server, scene.pgmoneta);
    const suffix = { none: '', zstd: '.zstd', gzip: '.gz', lz4: '.lz4' }[settings.compression];
    const sealed = settings.encryption === 'none' ? '' : '.aes';
    await until('all whole segments being stored', () => {
      const names = walOnDisk(scene.pgmoneta).filter((name: string) => !name.endsWith('.partial'));
      return names.length >= 2 && names.every((name: string) => name.slice(24) === suffix + sealed);
    });
    const found = await proveArchive(scene.pgmoneta, { major, segmentSize: megabytes * MEBIBYTE });
    expect(found.problems).toEqual([]);
    expect(lsnNumber(found.end)).toBeGreaterThanOrEqual(lsnNumber(end));
  });

  test('makes commits wait when it is a synchronous standby, and only until they are durable', async () => {
    const { server, pgmoneta } = scene;
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
    await server.sql('SELECT pg_reload_conf()');
    await until('the daemon being the synchronous standby', async () => {
      const [row] = await server.sql(`SELECT sync_state FROM pg_stat_replication WHERE application_name = 'pgmoneta'`);
      return row?.[0] === 'sync';
    });
    await server.sql('CREATE TABLE waits (n int)');
    const before = lsnNumber((await walStatus(pgmoneta)).WalDurable);
    for (const level of ['on', 'remote_write']) {
      await server.sql(`SET synchronous_commit = '${level}'; INSERT INTO waits VALUES (1)`);
    }
    const end = await server.value('SELECT pg_current_wal_flush_lsn()');
    const state = await walStatus(pgmoneta);
    expect(lsnNumber(state.WalDurable)).toBeGreaterThan(before);
    expect(state.WalLag === 0 || lsnNumber(state.WalDurable) <= lsnNumber(end as string)).toBe(true);
    // Without the daemon a commit waits; with it back it goes on.
    await pgmoneta.kill();
    const session = await server.connect();
    let done = false;
    const commit = session.query('INSERT INTO waits VALUES (2)').then(() => {
      done = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(done).toBe(false);
    await pgmoneta.start();
    await commit;
    await session.end();
    await server.sql(`ALTER SYSTEM RESET synchronous_standby_names`);
    await server.sql('SELECT pg_reload_conf()');
    await caughtUp(server, pgmoneta);
    expect((await proveArchive(pgmoneta, { major, segmentSize: megabytes * MEBIBYTE })).problems).toEqual([]);
  });
});

describe('WAL over TLS', () => {
  let scene: Scene;
  let proxy: FaultProxy;
  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      start: false,
      server: { initdb: ['--wal-segsize=1'] },
      section: { sslmode: 'require' },
    });
    const { server, pgmoneta } = scene;
    const key = path.join(server.data, 'server.key');
    const subject = ['-subj', '/CN=localhost', '-keyout', key, '-out', path.join(server.data, 'server.crt')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject], {
      stdio: 'ignore',
    });
    give(key);
    give(path.join(server.data, 'server.crt'));
    await server.sql('ALTER SYSTEM SET ssl = on');
    await server.sql('SELECT pg_reload_conf()');
    proxy = await FaultProxy.start({ host: server.host, port: server.port });
    Object.assign(pgmoneta.servers[0] ?? {}, { port: proxy.port });
    pgmoneta.configure();
    await pgmoneta.start();
    await streaming(scene);
  });
  afterAll(async () => {
    await scene?.close();
    await proxy?.close();
  });

  test('is received whole, is what synchronous commits wait for, and outlives a torn link', async () => {
    const { server, pgmoneta } = scene;
    const [row] = await server.sql(
      'SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE application_name = $$pgmoneta$$',
    );
    expect(row?.[0]).toBe('t');
    await write(scene, 3);
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
    await server.sql('SELECT pg_reload_conf()');
    await server.sql('CREATE TABLE waits (n int)');
    for (let n = 0; n < 20; n++) {
      await server.sql(`INSERT INTO waits VALUES (${n})`);
      if (n % 7 === 3) proxy.tear();
    }
    await write(scene, 2);
    const end = await caughtUp(server, pgmoneta);
    const found = await proveArchive(pgmoneta, { major: 17, segmentSize: MEBIBYTE });
    expect(found.problems).toEqual([]);
    expect(lsnNumber(found.end)).toBeGreaterThanOrEqual(lsnNumber(end));
  });
});

describe('the receiver', () => {
  let scene: Scene;
  let proxy: FaultProxy;
  beforeAll(async () => {
    scene = await Scene.open(17, {
      workload: false,
      start: false,
      server: { initdb: ['--wal-segsize=1'] },
      settings: { wal_receiver_timeout: '3s' },
    });
    proxy = await FaultProxy.start({ host: scene.server.host, port: scene.server.port });
    Object.assign(scene.pgmoneta.servers[0] ?? {}, { port: proxy.port });
    scene.pgmoneta.configure();
    await scene.pgmoneta.start();
    await streaming(scene);
  });
  afterAll(async () => {
    await scene?.close();
    await proxy?.close();
  });
  afterEach(async () => {
    await caughtUp(scene.server, scene.pgmoneta);
    expect((await proveArchive(scene.pgmoneta, { major: 17, segmentSize: MEBIBYTE })).problems).toEqual([]);
  });

  test('comes back after its connection was torn', async () => {
    proxy.tear();
    await write(scene, 2);
  });

  test('notices a link that is cut without a word', async () => {
    proxy.stalled = true;
    await until(
      'the dead link being noticed',
      async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'waiting',
      { timeout: 15_000 },
    );
    const state = await walStatus(scene.pgmoneta);
    expect(state.WalStreaming).toBe(false);
    expect(state.WalProblem).toMatch(/has sent nothing for 3 s|did not answer|within/);
    proxy.stalled = false;
    proxy.tear();
  });

  test('does not take an idle server for a dead one', async () => {
    await caughtUp(scene.server, scene.pgmoneta);
    const log = readFileSync(scene.pgmoneta.log, 'utf8').length;
    await new Promise((resolve) => setTimeout(resolve, 7000));
    expect(readFileSync(scene.pgmoneta.log, 'utf8').slice(log)).not.toContain('not received');
  });

  test('comes back after a restart of the server', async () => {
    await scene.server.stop('immediate');
    await scene.server.start();
    proxy.target = { host: scene.server.host, port: scene.server.port };
    await write(scene, 2);
  });

  test('is stopped and started by mode, and that outlives a restart of the daemon', async () => {
    await scene.pgmoneta.must('mode', 'primary', 'offline');
    expect((await walStatus(scene.pgmoneta)).WalReceiver).toBe('stopped');
    await write(scene, 2);
    await scene.pgmoneta.stop();
    await scene.pgmoneta.start();
    expect((await walStatus(scene.pgmoneta)).WalReceiver).toBe('stopped');
    await scene.pgmoneta.must('mode', 'primary', 'online');
    await streaming(scene);
  });

  test('takes nothing that is not WAL of its place, and says so', async () => {
    // The first page that the server sends next has another address than it should have.
    const next = await scene.server.value(`SELECT pg_walfile_name(pg_switch_wal())`);
    expect(next).toMatch(/^[0-9A-F]{24}$/);
    await caughtUp(scene.server, scene.pgmoneta);
    const log = readFileSync(scene.pgmoneta.log, 'utf8').length;
    proxy.damageWal = true;
    await write(scene, 1);
    await until('the damage being noticed', () =>
      readFileSync(scene.pgmoneta.log, 'utf8').slice(log).includes('is not WAL of that place'),
    );
    proxy.damageWal = false;
  });

  test('says what is missing when there is no slot, and begins by itself when there is one', async () => {
    const { server, pgmoneta } = scene;
    await pgmoneta.stop();
    await until('the slot being free', async () => {
      const active = await server.value(`SELECT active FROM pg_replication_slots WHERE slot_name = 'pgmoneta'`);
      return active === 'f';
    });
    await caughtUpSlot();
    Object.assign(pgmoneta.servers[0] ?? {}, { settings: { create_slot: 'no' } });
    pgmoneta.configure();
    await server.sql(`SELECT pg_drop_replication_slot('pgmoneta')`);
    await pgmoneta.start();
    await until('the problem being shown', async () =>
      /has no replication slot/.test((await walStatus(pgmoneta)).WalProblem),
    );
    expect((await walStatus(pgmoneta)).WalProblem).toContain('pg_create_physical_replication_slot');
    await server.sql(`SELECT pg_create_physical_replication_slot('pgmoneta', true)`);
    await streaming(scene);
  });

  /** Nothing may be written between the last segment received and the new slot. */
  async function caughtUpSlot(): Promise<void> {
    await scene.server.sql('CHECKPOINT');
  }

  test('refuses another cluster under the name of the old one', async () => {
    const other = await Scene.open(17, { workload: false, start: false, server: { initdb: ['--wal-segsize=1'] } });
    try {
      await other.server.sql(`ALTER ROLE "backup user" PASSWORD '${scene.role.password.replaceAll("'", "''")}'`);
      const { target } = proxy;
      proxy.target = { host: other.server.host, port: other.server.port };
      proxy.tear();
      await until('the other cluster being refused', async () =>
        /is another cluster/.test((await walStatus(scene.pgmoneta)).WalProblem),
      );
      proxy.target = target;
      proxy.tear();
      await streaming(scene);
    } finally {
      await other.close();
    }
  });
});

describe('a standby that is promoted', () => {
  test('is followed to its new timeline, history file and all', async () => {
    const scene = await Scene.open(17, { workload: false, server: { initdb: ['--wal-segsize=1'] } });
    const { pgmoneta, server } = scene;
    try {
      await streaming(scene);
      await write(scene, 3);
      await caughtUp(server, pgmoneta);
      // The simplest promotion: the cluster itself recovers and takes a new timeline.
      await server.stop('fast');
      const { writeFileSync } = await import('node:fs');
      writeFileSync(path.join(server.data, 'standby.signal'), '');
      await server.start();
      await streaming(scene);
      await server.sql('SELECT pg_promote()');
      await until('the server being a primary', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
      await write(scene, 3);
      await until('timeline 2 being received', async () => (await walStatus(pgmoneta)).WalTimeline === 2);
      await caughtUp(server, pgmoneta);
      const names = walOnDisk(pgmoneta);
      expect(names).toContain('00000002.history');
      const kept = readFileSync(path.join(pgmoneta.repository, 'primary/wal/00000002.history'));
      expect(kept.equals(readFileSync(path.join(server.data, 'pg_wal/00000002.history')))).toBe(true);
      expect(names.filter((name: string) => /^00000001.*\.partial$/.test(name))).toHaveLength(1);
      expect((await proveArchive(pgmoneta, { major: 17, segmentSize: MEBIBYTE, timeline: 1 })).problems).toEqual([]);
      expect((await proveArchive(pgmoneta, { major: 17, segmentSize: MEBIBYTE, timeline: 2 })).problems).toEqual([]);
    } finally {
      await scene.close();
    }
  });
});

describe('a second copy', () => {
  test('follows what is durable, and catches up after the target was away', async () => {
    const scene = await Scene.open(17, { workload: false, start: false, server: { initdb: ['--wal-segsize=1'] } });
    const { pgmoneta, server } = scene;
    const shipping = makeDirectory(path.join(pgmoneta.base, 'shipping'));
    const place = path.join(shipping, 'primary/wal');
    const equal = async (end: string) => {
      const segment = (await server.value(`SELECT pg_walfile_name('${end}'::pg_lsn)`)) as string;
      const offset = Number(lsnNumber(end) % BigInt(MEBIBYTE));
      const read = (directory: string) => {
        const file = [segment, `${segment}.partial`].map((name) => path.join(directory, name)).find(existsSync);
        return file === undefined ? undefined : readFileSync(file).subarray(0, offset);
      };
      const [one, other] = [read(path.join(pgmoneta.repository, 'primary/wal')), read(place)];
      return one !== undefined && other !== undefined && one.equals(other);
    };
    try {
      Object.assign(pgmoneta.servers[0] ?? {}, { settings: { wal_shipping: shipping } });
      pgmoneta.configure({ compression: 'zstd', encryption: 'aes-256-gcm' });
      await pgmoneta.start();
      await streaming(scene);
      await write(scene, 4);
      await until('the copy being complete', async () => equal(await caughtUp(server, pgmoneta)));
      // Stems: a segment that gets its kept form has two files for a moment.
      const names = walOnDisk(pgmoneta).filter((name: string) => !name.includes('.partial'));
      const whole = new Set(names.map((name: string) => name.slice(0, 24)));
      const { readdirSync } = await import('node:fs');
      await until('every whole segment being there, plain', () => {
        const copied = new Set(readdirSync(place));
        return [...whole].every((name) => copied.has(name));
      });
      renameSync(shipping, `${shipping}-away`);
      const { writeFileSync, rmSync } = await import('node:fs');
      writeFileSync(shipping, 'not a directory');
      await write(scene, 3);
      await until('the failure being shown', async () => (await walStatus(pgmoneta)).WalShippingProblem !== undefined);
      expect((await walStatus(pgmoneta)).WalStreaming).toBe(true);
      rmSync(shipping);
      renameSync(`${shipping}-away`, shipping);
      await until('the copy being complete again', async () => equal(await caughtUp(server, pgmoneta)), {
        timeout: 30_000,
      });
    } finally {
      await scene.close();
    }
  });
});

describe('a killed daemon', () => {
  test('leaves an archive that goes on where it was', async () => {
    const scene = await Scene.open(17, { workload: false, server: { initdb: ['--wal-segsize=1'] } });
    try {
      await streaming(scene);
      for (let round = 0; round < 5; round++) {
        await write(scene, 3);
        signal(scene.pgmoneta.pid, 'SIGKILL');
        await scene.pgmoneta.kill();
        await scene.pgmoneta.start();
      }
      await caughtUp(scene.server, scene.pgmoneta);
      expect((await proveArchive(scene.pgmoneta, { major: 17, segmentSize: MEBIBYTE })).problems).toEqual([]);
    } finally {
      await scene.close();
    }
  });
});
