import { asPgmonetaError } from '../errors/index.js';
import type { JobVerb, JsonObject } from '../jobs/messages.js';
import { serverPaths } from '../repository/paths.js';
import { ClockWatch } from './clock.js';
import type { Chore } from './scheduler.js';
import type { DaemonState } from './state.js';
import { sweepServer } from './sweep.js';

/** What the daemon does by itself. */
export function choresOf(state: DaemonState): Chore[] {
  return [expiry(state)];
}

/** Retention: of servers that are offline too, whose backups grow old all the same. */
function expiry(state: DaemonState): Chore {
  const clock = new ClockWatch();
  let told: string | undefined;
  return {
    name: 'expiry',
    interval: () => state.configuration.main.retention_interval,
    run: async (server, signal) => {
      const doubt = clock.doubt();
      if (doubt !== undefined) {
        if (told === undefined) state.log.warn(`${doubt}; at once with: pgmoneta-cli expire`);
        told = doubt;
        return;
      }
      told = undefined;
      const { NumberOfRemoved, Freed } = await runByItself(state, 'expire', server, {}, signal);
      if (NumberOfRemoved === 0) state.log.debug(`nothing of ${server} has expired`);
      else state.log.info(`expiry of ${server}: ${NumberOfRemoved} backups removed`, { server, freed: Number(Freed) });
    },
  };
}

/** Runs a job that nobody asked for. */
async function runByItself(
  state: DaemonState,
  verb: JobVerb,
  server: string,
  request: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { configuration, credentials, supervisor, log } = state;
  try {
    return await supervisor.run({
      verb,
      request: { ...request, Server: server },
      server,
      configuration,
      password: undefined,
      masterSecret: credentials.masterSecret,
      signal,
    });
  } catch (error) {
    // A killed job could not clean up after itself.
    if (!signal.aborted) {
      await sweepServer(serverPaths(configuration.main.base_dir, server), server, log).catch((failure) =>
        log.warn(`sweep of ${server} failed: ${asPgmonetaError(failure).message}`),
      );
    }
    throw error;
  }
}
