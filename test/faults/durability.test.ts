import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';
import { caughtUp, walStatus } from '../support/wal.mjs';

const MEBIBYTE = 1024 * 1024;
/** Without it nobody can look at system calls. */
const strace = spawnSync('strace', ['-V']).status === 0;

/** Bytes as strace prints them with -xx. */
const bytesOf = (text: string) => Buffer.from(text.replaceAll('\\x', ''), 'hex');

interface Segment {
  written: number;
  durable: number;
}

/**
 * Reads the system calls of a daemon in their order: what each status update says is flushed must have been written,
 * and covered by an fdatasync that began after that and had ended before.
 */
function judge(trace: string) {
  const segments = new Map<bigint, Segment>();
  const syncing = new Map<string, { segment: Segment; upTo: number }>();
  const wrong: string[] = [];
  let reports = 0;
  let exact = 0;
  const segmentOf = (file: string): Segment | undefined => {
    const name = /\/([0-9A-F]{24})\.partial>/.exec(file)?.[1];
    if (name === undefined) return undefined;
    const start = (BigInt(`0x${name.slice(8, 16)}`) << 32n) + BigInt(`0x${name.slice(16)}`) * BigInt(MEBIBYTE);
    const known = segments.get(start) ?? { written: 0, durable: 0 };
    segments.set(start, known);
    return known;
  };
  for (const raw of trace.split('\n')) {
    // Names of files are in hexadecimal, too.
    const line = raw.replace(/<((?:\\x[0-9a-f]{2})+)>/g, (_, name: string) => `<${bytesOf(name).toString('latin1')}>`);
    const thread = /^\d+/.exec(line)?.[0] ?? '';
    const write = /pwrite64\((\d+<[^>]*>), "((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?, (\d+), (\d+)/.exec(line);
    const segment = segmentOf(write?.[1] ?? /f(?:data)?sync\((\d+<[^>]*>)/.exec(line)?.[1] ?? '');
    if (write && segment) {
      // Zeros are written ahead of time and are no WAL.
      if (bytesOf(write[2] ?? '').some((byte) => byte !== 0)) {
        segment.written = Math.max(segment.written, Number(write[3]) + Number(write[4]));
      }
    } else if (segment && /f(?:data)?sync\(/.test(line)) {
      if (line.includes('unfinished')) syncing.set(thread, { segment, upTo: segment.written });
      else segment.durable = segment.written;
    } else if (/f(?:data)?sync resumed>.*= 0/.test(line)) {
      const ended = syncing.get(thread);
      if (ended) ended.segment.durable = Math.max(ended.segment.durable, ended.upTo);
      syncing.delete(thread);
    }
    const report =
      /(?:write|sendto)\(\d+<(?:socket|TCP|UNIX)[^>]*>, "(\\x64\\x00\\x00\\x00\\x26\\x72(?:\\x[0-9a-f]{2})*)"/.exec(
        line,
      );
    if (!report) continue;
    const flushed = bytesOf(report[1] ?? '').readBigUInt64BE(14);
    if (flushed === 0n || segments.size === 0) continue;
    reports++;
    const starts = [...segments.keys()];
    const start = starts.findLast((candidate) => candidate <= flushed) ?? starts[0];
    if (start === undefined) continue;
    const offset = Number(flushed - start);
    const durable = segments.get(start)?.durable ?? 0;
    // The start of the first segment is where the stream begins: before that nothing is claimed.
    if (offset > durable) wrong.push(`flushed ${flushed.toString(16)}, durable up to ${durable} of its segment`);
    if (offset > 0 && offset === durable) exact++;
  }
  return { wrong, reports, exact, segments: segments.size };
}

test.skipIf(!strace)('no position is reported as flushed before the fdatasync that covers it', async () => {
  const scene = await Scene.open(17, { workload: false, start: false, server: { initdb: ['--wal-segsize=1'] } });
  const { server, pgmoneta } = scene;
  const file = path.join(pgmoneta.base, 'trace');
  const calls = 'trace=pwrite64,fdatasync,fsync,write,sendto';
  try {
    pgmoneta.configure({ compression: 'none' });
    await pgmoneta.start({ wrap: ['strace', '-f', '--seccomp-bpf', '-y', '-xx', '-s', '64', '-e', calls, '-o', file] });
    await until('the stream', async () => (await walStatus(pgmoneta)).WalStreaming, { timeout: 60_000 });
    await server.sql('CREATE TABLE kept (n int)');
    await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
    await server.sql('SELECT pg_reload_conf()');
    const sessions = await Promise.all([1, 2, 3].map(() => server.connect()));
    await Promise.all(
      sessions.map(async (session) => {
        for (let n = 0; n < 40; n++) await session.query(`INSERT INTO kept VALUES (${n})`);
      }),
    );
    await server.sql(
      `SELECT pg_logical_emit_message(true, 'test', repeat('0123456789abcdef', 8192)) FROM generate_series(1, 26)`,
    );
    await caughtUp(server, pgmoneta);
    await Promise.all(sessions.map((session) => session.end()));
    // A signal would reach strace, which passes none on.
    await pgmoneta.must('shutdown');
    await until('the daemon having ended', () => pgmoneta.daemon?.ended !== undefined);
    const found = judge(readFileSync(file, 'utf8'));
    expect(found.wrong).toEqual([]);
    expect(found.reports).toBeGreaterThan(50);
    expect(found.exact).toBeGreaterThan(25);
    expect(found.segments).toBeGreaterThan(2);
  } finally {
    await scene.close();
  }
});

test('the judge would notice', () => {
  const partial = '7<\\x2f/w/000000010000000000000002.partial>'.replace('\\x2f', '');
  const status = (flushed: number) => {
    const message = Buffer.alloc(39);
    message.write('d', 0);
    message.writeUInt32BE(38, 1);
    message.write('r', 5);
    message.writeBigUInt64BE(BigInt(2 * MEBIBYTE + flushed), 14);
    const text = [...message].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
    return `9 sendto(5<socket:[1]>, "${text}", 39) = 39`;
  };
  const written = `8 pwrite64(${partial}, "\\x16\\xd1", 100, 0) = 100`;
  const synced = `8 fdatasync(${partial}) = 0`;
  expect(judge([written, synced, status(100)].join('\n'))).toMatchObject({ wrong: [], reports: 1, exact: 1 });
  expect(judge([written, status(100), synced].join('\n')).wrong).toHaveLength(1);
  const begun = `8 fdatasync(${partial} <unfinished ...>`;
  const ended = '8 <... fdatasync resumed>) = 0';
  expect(judge([written, begun, status(100), ended].join('\n')).wrong).toHaveLength(1);
  expect(judge([begun, written, ended, status(100)].join('\n')).wrong).toHaveLength(1);
  expect(judge([written, begun, ended, status(100)].join('\n')).wrong).toEqual([]);
});
