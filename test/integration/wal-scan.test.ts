import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAJORS } from '../../scripts/lib/servers.mjs';
import { compressFile } from '../../src/native/codec.js';
import { encryptFile } from '../../src/native/crypto.js';
import {
  copySegments,
  listWal,
  proveSegment,
  type ScanOptions,
  scanWal,
  type WalRecord,
} from '../../src/native/wal-scan.js';
import { until } from '../support/processes.mjs';
import { NO_REFEREES, referee } from '../support/referees.mjs';
import { type Server, startServer } from '../support/server.mjs';

const SEGMENT = 1024 * 1024;
const SECRET = Buffer.alloc(64, 7);
const PAGE = 8192;

const number = (lsn: string): bigint => {
  const [high, low] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
};
const text = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;

/** First byte of a segment of 1 MB. */
function startOf(name: string): bigint {
  return (BigInt(`0x${name.slice(8, 16)}`) << 32n) + BigInt(`0x${name.slice(16, 24)}`) * BigInt(SEGMENT);
}

/** Copies the segments of a server up to the one that it writes; that one last. */
async function collect(server: Server, directory: string): Promise<string[]> {
  const current = (await server.value('SELECT pg_walfile_name(pg_current_wal_insert_lsn())')) ?? '';
  mkdirSync(directory);
  const wal = path.join(server.data, 'pg_wal');
  const names = readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/.test(name) && name.slice(8) <= current.slice(8));
  names.sort((a, b) => (a.slice(8) === b.slice(8) ? a.localeCompare(b) : a.slice(8).localeCompare(b.slice(8))));
  for (const name of names) copyFileSync(path.join(wal, name), path.join(directory, name));
  return names;
}

interface Dumped {
  readonly lsn: string;
  readonly prev: string;
  readonly xid: number;
  readonly size: number;
  readonly blocks: string[];
}

/** What pg_waldump says about the records from the begin of a segment on. */
function dump(bin: string, directory: string, first: string, timeline: number) {
  const args = ['--path', directory, '--timeline', String(timeline), '--start', text(startOf(first))];
  const output = spawnSync(path.join(bin, 'pg_waldump'), args, {
    encoding: 'utf8',
    maxBuffer: 1 << 29,
    env: { ...process.env, TZ: 'UTC' },
  });
  const records: Dumped[] = [];
  const commits = new Map<string, number>();
  for (const line of output.stdout.split('\n')) {
    const found =
      /^rmgr: \S+ +len \(rec\/tot\): +\d+\/ *(\d+), tx: +(\d+), lsn: (\S+), prev (\S+), desc: (\S+) (.*)$/.exec(line);
    if (!found) continue;
    const [, size = '', xid = '', lsn = '', prev = '', operation = '', rest = ''] = found;
    const blocks = [...line.matchAll(/blkref #\d+: rel (\d+\/\d+\/\d+)(?: fork (\w+))? blk (\d+)( FPW)?/g)].map(
      ([, relation, fork, block, image]) => `${relation} ${fork ?? 'main'} ${block}${image ? ' image' : ''}`,
    );
    const at = text(number(lsn));
    records.push({ lsn: at, prev: text(number(prev)), xid: Number(xid), size: Number(size), blocks });
    const time = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{6}) UTC/.exec(rest);
    if (/^COMMIT/.test(operation) && time)
      commits.set(at, Date.parse(`${time[1]}T${time[2]}Z`) * 1000 + Number(time[3]));
  }
  return { records, commits, output: output.stderr };
}

const FORKS = ['main', 'fsm', 'vm', 'init'];
const asDumped = (record: WalRecord): Dumped => ({
  lsn: record.lsn,
  prev: record.prev,
  xid: record.xid,
  size: record.size,
  blocks: record.blocks.map((b) => `${b.relation} ${FORKS[b.fork]} ${b.block}${b.image ? ' image' : ''}`),
});

/** Stores segments in every form there is, the last one as it is while it is received. */
async function store(directory: string, names: readonly string[], target: string): Promise<string[]> {
  mkdirSync(target);
  const paths: string[] = [];
  for (const [index, name] of names.entries()) {
    const last = index === names.length - 1;
    let file = path.join(target, last ? `${name}.partial` : name);
    copyFileSync(path.join(directory, name), file);
    const codec = last ? undefined : ([undefined, 'zstd', 'lz4', 'gzip', 'bzip2'] as const)[index % 5];
    const mode = last ? undefined : ([undefined, 'aes-256-gcm', 'aes-192-ctr'] as const)[index % 3];
    if (codec) file = (await compressFile(file, { codec, level: 1 })).destination;
    if (mode) file = (await encryptFile(file, { mode, masterSecret: SECRET })).destination;
    paths.push(file);
  }
  return paths;
}

describe.each(MAJORS)('WAL of PostgreSQL %i', (major) => {
  let server: Server;
  let folder: string;
  let names: string[];
  let stored: string[];
  let systemIdentifier: string;
  /** Transactions that have committed, as the server says: xid to microseconds since 1970. */
  const committed = new Map<number, number>();
  const aborted: number[] = [];
  const points: { name: string; end: string }[] = [];

  const facts = () => ({ segmentSize: SEGMENT, systemIdentifier, masterSecret: SECRET });
  const options = (more: Partial<ScanOptions> = {}): ScanOptions => ({
    ...facts(),
    segments: stored,
    start: text(startOf(names[0] ?? '')),
    ...more,
  });
  const list = (more: Partial<ScanOptions> = {}) => listWal({ ...options(more), pageSize: PAGE, limit: 1_000_000 });

  async function transaction(statement: string, end = 'COMMIT'): Promise<number> {
    const session = await server.connect();
    await session.query('BEGIN');
    const xid = Number(await session.value('SELECT pg_current_xact_id()'));
    await session.query(statement);
    await session.query(end);
    await session.end();
    return xid;
  }

  async function commitTime(xid: number): Promise<void> {
    const time = await server.value(
      `SELECT (extract(epoch FROM pg_xact_commit_timestamp('${xid}')) * 1000000)::bigint`,
    );
    committed.set(xid, Number(time));
  }

  async function point(name: string): Promise<void> {
    points.push({ name, end: (await server.value(`SELECT pg_create_restore_point('${name}')`)) ?? '' });
  }

  async function write(round: number): Promise<void> {
    const table = `t${round}`;
    await commitTime(
      await transaction(`CREATE TABLE ${table} AS SELECT n, repeat('x', 90) AS f FROM generate_series(1, 3000) n`),
    );
    await commitTime(await transaction(`CREATE INDEX ON ${table} (n); UPDATE ${table} SET f = 'y' WHERE n % 3 = 0`));
    aborted.push(await transaction(`DELETE FROM ${table}`, 'ROLLBACK'));
    const subtransactions = Array.from({ length: 5 }, (_, n) => `SAVEPOINT s${n}; INSERT INTO ${table} VALUES (${n});`);
    // Prepared ones with every list that a commit can have: subtransactions, relations, statistics, invalidations.
    const prepared = `${subtransactions.join('')} DROP TABLE IF EXISTS d${round}; CREATE TABLE p${round} (a int)`;
    await server.sql(`CREATE TABLE d${round} (a int); INSERT INTO d${round} SELECT generate_series(1, 500)`);
    const good = await transaction(prepared, `PREPARE TRANSACTION 'good'`);
    await server.sql(`COMMIT PREPARED 'good'`);
    await commitTime(good);
    aborted.push(
      await transaction(`CREATE TABLE gone (a int); INSERT INTO gone VALUES (1)`, `PREPARE TRANSACTION 'bad'`),
    );
    await server.sql(`ROLLBACK PREPARED 'bad'`);
    await point(`round ${round}`);
    await server.sql(`VACUUM ANALYZE ${table}`);
  }

  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'wal-scan-'));
    server = await startServer(major, {
      initdb: ['--wal-segsize=1'],
      settings: {
        track_commit_timestamp: 'on',
        max_prepared_transactions: 5,
        max_wal_size: '1GB',
        wal_keep_size: '1GB',
        autovacuum: 'off',
        wal_compression: 'on',
      },
    });
    systemIdentifier = (await server.value('SELECT system_identifier FROM pg_control_system()')) ?? '';
    // Until everything but the first segments is of this cluster's own writing.
    await server.sql('CHECKPOINT');
    await write(1);
    // A record over more than three segments, of a transaction and of none.
    await commitTime(await transaction(`SELECT pg_logical_emit_message(true, 'big', repeat('b', 3 * 1024 * 1024))`));
    await server.sql(`SELECT pg_logical_emit_message(false, 'big', repeat('c', 3500000))`);
    await server.sql('SELECT pg_switch_wal()');
    await write(2);
    // Images with another compression, where the server was built with one.
    const kinds = await server.value(`SELECT enumvals::text FROM pg_settings WHERE name = 'wal_compression'`);
    await server.sql(`ALTER SYSTEM SET wal_compression = ${/zstd|lz4/.exec(kinds ?? '')?.[0] ?? 'off'}`);
    await server.sql('SELECT pg_reload_conf()');
    await server.sql('CHECKPOINT');
    await write(3);
    names = await collect(server, path.join(folder, 'plain'));
    stored = await store(path.join(folder, 'plain'), names, path.join(folder, 'stored'));
  });

  afterAll(async () => {
    await server?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  test('is read whole: commits, restore points and the end are those that the server says', async () => {
    const progress: number[] = [];
    const report = await scanWal(options(), { onProgress: (now) => progress.push(now.bytesDone) });
    expect(report.ending).toMatchObject({ kind: 'end-of-wal', path: stored.at(-1) });
    expect(report).toMatchObject({ majorVersion: major, systemIdentifier, timeline: 1, restorePointCount: 3 });
    expect(report.restorePoints.map(({ name, end }) => ({ name, end }))).toEqual(points);
    expect(number(report.end)).toBeGreaterThanOrEqual(number(points.at(-1)?.end ?? ''));
    expect(report.aborts).toBeGreaterThanOrEqual(aborted.length);
    expect(progress.at(-1)).toBe(names.length * SEGMENT);
    expect(committed.size).toBe(10);
    for (const [xid, time] of committed) {
      const { stop } = await scanWal(options({ target: { xid, inclusive: true } }));
      expect(stop).toMatchObject({ xid, time, replayed: true, timeline: 1 });
    }
    for (const xid of aborted) {
      const { stop } = await scanWal(options({ target: { xid, inclusive: false } }));
      expect(stop).toMatchObject({ xid, replayed: false });
    }
  });

  test('has a chain of records that ends where the scan does', async () => {
    const records = await list();
    const report = await scanWal(options());
    expect(records.length).toBe(report.records);
    expect(records.at(-1)?.end).toBe(report.end);
    for (const [index, record] of records.entries()) {
      const before = records[index - 1];
      if (before) expect(record.prev).toBe(before.lsn);
    }
    expect(records.filter((record) => record.size > 3 * SEGMENT).length).toBe(2);
    expect(records.some((record) => record.blocks.some((block) => block.image))).toBe(true);
  });

  test('stops at a time, a name and an LSN as recovery would', async () => {
    const times = [...committed.values()];
    const middle = times[4] ?? 0;
    const inclusive = await scanWal(options({ target: { time: middle, inclusive: true } }));
    const exclusive = await scanWal(options({ target: { time: middle, inclusive: false } }));
    expect(inclusive.stop?.time).toBeGreaterThan(middle);
    expect(exclusive.stop?.time).toBe(middle);
    expect([inclusive.stop?.replayed, exclusive.stop?.replayed]).toEqual([false, false]);
    const { stop } = await scanWal(options({ target: { name: 'round 2' } }));
    expect(stop).toMatchObject({ end: points[1]?.end, replayed: true });
    const after = await scanWal(options({ target: { lsn: points[1]?.end ?? '', inclusive: false } }));
    expect(after.stop).toMatchObject({ end: points[1]?.end, replayed: false });
    for (const target of [
      { name: 'round 9' },
      { xid: 4_000_000_000, inclusive: true },
      { time: (Date.now() + 1e7) * 1000, inclusive: true },
      { lsn: 'FF/0', inclusive: true },
    ]) {
      expect((await scanWal(options({ target }))).stop).toBeUndefined();
    }
  });

  const judge = referee(major);
  test.skipIf(judge?.major !== major)(`is what pg_waldump says it is (${NO_REFEREES})`, async () => {
    const dumped = dump(judge?.bin ?? '', path.join(folder, 'plain'), names[0] ?? '', 1);
    const records = await list();
    expect(records.map(asDumped)).toEqual(dumped.records);
    const commits = await Promise.all(
      [...dumped.commits].slice(-20).map(async ([lsn, time]) => {
        const { stop } = await scanWal(options({ target: { time: time - 1, inclusive: true } }));
        return [lsn, stop?.lsn === lsn ? stop.time : 'another', time];
      }),
    );
    for (const [, found, time] of commits) expect(found).toBe(time);
    expect((await scanWal(options())).commits).toBe(dumped.commits.size);
  });

  test('is copied out of every stored form byte by byte, and proved segment by segment', async () => {
    const target = path.join(folder, 'target');
    mkdirSync(target);
    const copies = stored.map((source, index) => ({
      source,
      target: path.join(target, names[index] ?? ''),
      timeline: 1,
      start: text(startOf(names[index] ?? '')),
      pad: source.endsWith('.partial'),
    }));
    const copied = await copySegments({ ...facts(), copies, workers: 2 });
    const { end } = await scanWal(options());
    expect(copied.at(-1)).toMatchObject({ end, written: true });
    for (const [index, name] of names.entries()) {
      const plain = readFileSync(path.join(folder, 'plain', name));
      const found = readFileSync(path.join(target, name));
      if (index === names.length - 1) plain.fill(0, Number(number(end) - startOf(name)));
      expect(found.equals(plain), name).toBe(true);
    }
    for (const [index, file] of stored.entries()) {
      const proof = await proveSegment(file, facts());
      expect(proof).toMatchObject({ majorVersion: major, whole: index < names.length - 1 });
    }
  });

  test('is damage when a bit of it has changed', async () => {
    const small = (await list()).filter(
      ({ lsn, size }) => size > 40 && Number(number(lsn) % BigInt(PAGE)) + size < PAGE && size < 2000,
    );
    const victim = small[Math.floor(small.length / 2)];
    const name = names.find((one) => startOf(one) + BigInt(SEGMENT) > number(victim?.lsn ?? '')) ?? '';
    const file = path.join(folder, name);
    const bytes = readFileSync(path.join(folder, 'plain', name));
    const at = Number(number(victim?.lsn ?? '') - startOf(name)) + 30;
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(file, bytes);
    const segments = stored.with(names.indexOf(name), file);
    const report = await scanWal(options({ segments }));
    expect(report.ending).toMatchObject({ kind: 'damaged', path: file, at: victim?.lsn });
    expect(report.end).toBe(victim?.lsn);
    expect(await proveSegment(file, facts())).toMatchObject({ whole: false });
    const other = options({ systemIdentifier: '1' });
    expect((await scanWal(other)).ending.message).toContain('belongs to the system');
  });

  test('goes on after a crash in the middle of a record, and on a new timeline', async () => {
    await server.sql(`SELECT pg_logical_emit_message(false, 'torn', repeat('d', 100000))`);
    await server.sql(`SELECT pg_logical_emit_message(true, 'flush', 'x')`);
    await server.stop('kill');
    const wal = path.join(server.data, 'pg_wal');
    const all = readdirSync(wal)
      .filter((name) => /^00000001[0-9A-F]{16}$/.test(name))
      .sort()
      .filter((name) => name >= (names.at(-1) ?? ''));
    const before = await listWal({
      ...facts(),
      segments: all.slice(0, 2).map((name) => path.join(wal, name)),
      start: text(startOf(all[0] ?? '')),
      pageSize: PAGE,
      limit: 100_000,
    });
    const torn = before.find((record) => record.size > 100_000);
    // What a power failure leaves: the first page of the record, and zeros.
    const cut = (number(torn?.lsn ?? '') / BigInt(PAGE) + 1n) * BigInt(PAGE);
    for (const name of all) {
      const bytes = readFileSync(path.join(wal, name));
      const from = cut > startOf(name) ? Number(cut - startOf(name)) : 0;
      if (from < SEGMENT) writeFileSync(path.join(wal, name), bytes.fill(0, from));
    }
    await server.start();
    await point('after the crash');
    await server.stop();
    writeFileSync(path.join(server.data, 'recovery.signal'), '');
    server.options.override = { ...server.options.override, restore_command: '/bin/false' };
    await server.start();
    // A hot standby answers before it is promoted.
    await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
    await point('on the new timeline');
    // A restore point is written to disk with the next commit.
    await server.sql('CREATE TABLE flushed ()');
    const directory = path.join(folder, 'second');
    const segments = await collect(server, directory);
    const last = segments.at(-1) ?? '';
    expect(last.slice(0, 8)).toBe('00000002');
    copyFileSync(path.join(directory, last), path.join(directory, `${last}.partial`));
    const paths = segments.map((name) => path.join(directory, name === last ? `${name}.partial` : name));
    const start = text(startOf(segments[0] ?? ''));
    const report = await scanWal({ ...facts(), segments: paths, start });
    expect(report.ending.kind, report.ending.message).toBe('end-of-wal');
    expect(report.timeline).toBe(2);
    expect(report.restorePoints.map(({ name, end }) => ({ name, end }))).toEqual(points);
    const records = await listWal({ ...facts(), segments: paths, start, pageSize: PAGE, limit: 1_000_000 });
    expect(records.some((record) => record.lsn === torn?.lsn)).toBe(false);
    // XLOG OVERWRITE_CONTRECORD
    expect(records.filter((record) => record.resourceManager === 0 && record.info === 0xd0).length).toBe(1);
    if (judge?.major === major) {
      const judged = dump(judge.bin, directory, segments.find((name) => name.startsWith('00000002')) ?? '', 2);
      expect(judged.records.length).toBeGreaterThan(3);
      expect(records.slice(-judged.records.length).map(asDumped)).toEqual(judged.records);
    }
  });
});
