/** What tests of recovery to a target have in common. */
import { marksIn } from '../support/marks.mjs';
import { until } from '../support/processes.mjs';
import type { Scene } from '../support/scene.mjs';
import { type Server, type ServerOptions, startExisting } from '../support/server.mjs';
import { walStatus } from '../support/wal.mjs';

/** Commits tell their time, and nothing is written that a test does not know of. */
export const SERVER_SETTINGS = { track_commit_timestamp: 'on', autovacuum: 'off' };

/** Waits until WAL comes in. */
export async function streaming(scene: Scene): Promise<void> {
  await until('the receiver streaming', async () => (await walStatus(scene.pgmoneta)).WalReceiver === 'streaming');
}

/** Waits until a server has ended its recovery. */
export async function promoted(server: Server): Promise<void> {
  await until('the end of recovery', async () => (await server.value('SELECT pg_is_in_recovery()')) === 'f');
}

/** Restores, starts the result, and gives the rows that are there when recovery has ended. */
export async function visible(
  scene: Scene,
  position: string,
  { identifier = 'newest', options = [] as string[], start = {} as ServerOptions } = {},
): Promise<number[]> {
  const directory = await scene.pgmoneta.restore(identifier, { position, options });
  const server = await startExisting(scene.server.major, directory, start);
  try {
    await promoted(server);
    return await marksIn(server);
  } finally {
    await server.remove();
    scene.pgmoneta.clearRestored();
  }
}
