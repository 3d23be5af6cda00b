import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checksumEveryTable } from '../support/compare.mjs';
import { canMount, mount, takeAll } from '../support/disk.mjs';
import { alive, signal, until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { proveRestored, Scene } from '../support/scene.mjs';
import { caughtUp } from '../support/wal.mjs';
import { addNoise } from '../support/workload.mjs';

/** WAL behind the backup, in segments of 1 MB: copying them takes long enough to be met. */
const MEGABYTES = 160;
const ROUNDS = 6;
/** Such a server accepts connections only when its recovery has ended. */
const WHEN_RECOVERED = { override: { hot_standby: 'off' } };

let scene: Scene;
let label: string;
let checksums: Record<string, string>;
const random = seeded('kill -9 in the WAL of a restore');

beforeAll(async () => {
  scene = await Scene.open(17, {
    workload: { rows: 500, tablespaces: false },
    settings: { encryption: 'aes-256-gcm', workers: 1 },
    server: { initdb: ['--wal-segsize=1'] },
  });
  label = await scene.pgmoneta.backup();
  for (let done = 0; done < MEGABYTES; done += 20) {
    await addNoise(scene.server, 10);
    await scene.server.sql('DROP TABLE noise');
    await scene.server.sql(
      `SELECT pg_logical_emit_message(true, 'test', repeat(md5(i::text), 32 * 1024)) FROM generate_series(1, 10) i`,
    );
  }
  await scene.server.sql('CREATE TABLE the_end AS SELECT 4711 AS n');
  checksums = await checksumEveryTable(scene.server);
  await caughtUp(scene.server, scene.pgmoneta);
});
afterAll(() => scene?.close());

const target = (directory: string) => path.join(directory, `primary-${label}`);

/** Names below the directory that is being built; nothing before it is there, or after it has got its name. */
function building(directory: string): string[] {
  const hidden = readdirSync(directory).filter((name) => name.startsWith('.') && name.includes(label));
  return hidden.map((name) => path.join(directory, name));
}

/** Segments of WAL in a directory that is being built. */
function segments(directory: string): number {
  return building(directory)
    .map((data) => path.join(data, 'pg_wal'))
    .filter((wal) => existsSync(wal))
    .reduce((sum, wal) => sum + readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/.test(name)).length, 0);
}

/** Starts a restore to the end of all WAL; does `strike` in the middle of its phase `Copy WAL`. */
async function struck(directory: string, after: number, strike: (jobs: readonly number[]) => void) {
  const { pgmoneta } = scene;
  const args = ['-c', pgmoneta.configuration, '-F', 'json', 'restore', 'primary', 'newest', 'current', directory];
  const { result } = pgmoneta.launch('pgmoneta-cli', args);
  let jobs: readonly number[] = [];
  await until('the job', () => {
    jobs = pgmoneta.jobs();
    return jobs.length > 0;
  });
  // The phase lasts for some tenths of a second: nothing else is done meanwhile. The backup has a segment or two itself.
  const deadline = performance.now() + 60_000;
  while (segments(directory) <= 2 + after) {
    if (existsSync(target(directory)) || performance.now() > deadline) throw new Error(JSON.stringify(await result));
  }
  strike(jobs);
  return { jobs, result: await result };
}

/** A restore that was cut short left nothing with the name of a cluster. */
function expectNoCluster(directory: string): void {
  expect(existsSync(target(directory))).toBe(false);
  expect(readdirSync(directory).filter((name) => !name.startsWith('.'))).toEqual([]);
}

async function expectNextWorks(directory: string): Promise<void> {
  const { pgmoneta } = scene;
  const { Response, Outcome } = (await pgmoneta.json('restore', 'primary', 'newest', 'current', directory)).document;
  expect(Outcome).toMatchObject({ Status: true });
  expect(Response.Backup).toBe(label);
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
}

describe('while a restore copies WAL', () => {
  test.each(Array.from({ length: ROUNDS }, (_, n) => [n + 1, n % 2 === 0 ? 'job' : 'daemon'] as const))(
    'kill -9, round %i, of the %s: nothing looks complete, and the next restore works',
    async (_n, victim) => {
      const { pgmoneta } = scene;
      pgmoneta.clearRestored();
      const daemon = pgmoneta.pid;
      const { jobs, result } = await struck(pgmoneta.restored, Math.floor(random() * 60), (pids) => {
        for (const pid of victim === 'daemon' ? [daemon] : pids) signal(pid, 'SIGKILL');
      });
      expect(result.exit).not.toBe(0);
      await until('the end of the job', () => jobs.every((pid) => !alive(pid)));
      expectNoCluster(pgmoneta.restored);
      if (victim === 'daemon') {
        await pgmoneta.kill();
        await pgmoneta.start();
      }
      expectNoCluster(pgmoneta.restored);
      await expectNextWorks(pgmoneta.restored);
    },
  );

  test('what the last of them made is the whole cluster, to the last commit', async () => {
    expect(await proveRestored(17, target(scene.pgmoneta.restored), { checksums, options: WHEN_RECOVERED })).toEqual(
      [],
    );
  });

  test.runIf(canMount())(
    'the disk fills up: a clear error, nothing looks complete, and the next restore works',
    async () => {
      const { pgmoneta } = scene;
      const disk = path.join(pgmoneta.base, 'disk');
      const unmount = mount(disk, 420);
      try {
        const { exit, stdout } = (await struck(disk, 5, () => takeAll(path.join(disk, '.filler')))).result;
        rmSync(path.join(disk, '.filler'));
        expect(exit).toBe(3);
        const { Message } = JSON.parse(stdout).Outcome;
        expect(Message).toMatch(/space|ENOSPC/i);
        expect(Message).toContain(disk);
        expectNoCluster(disk);
        expect(readdirSync(disk)).toEqual([]); // what was half done is gone: the space is needed
        await expectNextWorks(disk);
        expect(await proveRestored(17, target(disk), { checksums, options: WHEN_RECOVERED })).toEqual([]);
      } finally {
        unmount();
      }
    },
  );
});
