import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { seeded } from '../support/random.mjs';
import { makeDirectory, removeDirectory } from '../support/runtime.mjs';
import { Scene } from '../support/scene.mjs';
import { type Server, startExisting } from '../support/server.mjs';
import { walStatus } from '../support/wal.mjs';

/** How often server and daemon are killed; the full proof is 10 rounds, 20 000 commits. */
const ROUNDS = Number(process.env.PGMONETA_TEST_RPO_ROUNDS ?? 2);
const COMMITS = 3400;
const CLIENTS = 8;

/** Commits from several clients until `limit` were answered or the server dies; gives what clients were told. */
async function commitUntilDeath(server: Server, round: number, limit: number, onLimit: () => Promise<void>) {
  const told: string[] = [];
  let dying: Promise<void> | undefined;
  const client = async (number: number) => {
    const session = await server.connect();
    try {
      for (let n = 0; ; n++) {
        const key = `${round}.${number}.${n}`;
        await session.query(`INSERT INTO kept VALUES ('${key}')`);
        told.push(key);
        if (told.length >= limit) dying ??= onLimit();
      }
    } catch {
      // The server is dead: what was not answered is nobody's.
    } finally {
      await session.end().catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
  await dying;
  return told;
}

describe.each([14, 17])('PostgreSQL %i with the daemon as its only synchronous standby', (major) => {
  test(
    `loses no commit that a client was told of: ${ROUNDS} rounds of kill -9 of both, and the data directory gone`,
    async () => {
      const random = seeded(`RPO ${major}`);
      const scene = await Scene.open(major, {
        workload: false,
        server: { initdb: ['--wal-segsize=1'] },
        settings: { compression: 'zstd', encryption: 'aes-256-gcm' },
      });
      const { pgmoneta } = scene;
      let server: Server = scene.server;
      const told: string[] = [];
      const synchronous = () =>
        until(
          'the daemon being the synchronous standby',
          async () => {
            const [row] = await server.sql(
              `SELECT sync_state FROM pg_stat_replication WHERE application_name = 'pgmoneta'`,
            );
            return row?.[0] === 'sync';
          },
          { timeout: 60_000 },
        );
      try {
        await server.sql('CREATE TABLE kept (key text PRIMARY KEY)');
        await pgmoneta.backup();
        for (let round = 0; round < ROUNDS; round++) {
          await server.sql(`ALTER SYSTEM SET synchronous_standby_names = 'pgmoneta'`);
          await server.sql('SELECT pg_reload_conf()');
          await synchronous();
          const limit = Math.floor(COMMITS * (0.2 + 0.8 * random()));
          const pause = random() * 20;
          const first = random() < 0.5;
          told.push(
            ...(await commitUntilDeath(server, round, limit, async () => {
              const kills = [() => server.stop('kill'), () => pgmoneta.kill()];
              if (first) kills.reverse();
              const one = kills[0]?.();
              await new Promise((resolve) => setTimeout(resolve, pause));
              await Promise.all([one, kills[1]?.()]);
            })),
          );
          removeDirectory(server.base);
          await pgmoneta.start();
          const directory = makeDirectory(path.join(pgmoneta.restored, `round${round}`));
          const restored = await pgmoneta.restore('newest', { position: 'current', directory });
          server = await startExisting(major, restored);
          await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f', {
            timeout: 60_000,
          });
          const found = new Set((await server.sql('SELECT key FROM kept')).map(([key]) => key));
          expect(told.filter((key) => !found.has(key))).toEqual([]);
          expect(told.length).toBeGreaterThan(0);
          // The restored cluster is the server from now on: on a new timeline, on another port.
          await pgmoneta.stop();
          Object.assign(pgmoneta.servers[0] ?? {}, { port: server.port });
          pgmoneta.configure();
          await pgmoneta.start();
          await until('the new timeline', async () => (await walStatus(pgmoneta)).WalTimeline === round + 2, {
            timeout: 60_000,
          });
        }
        expect((await walStatus(pgmoneta)).WalGaps).toEqual({});
      } finally {
        await server.remove();
        await scene.close();
      }
    },
    ROUNDS * 120_000 + 60_000,
  );
});
