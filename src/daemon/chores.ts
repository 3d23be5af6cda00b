import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { standbysBehind, standbysFailed } from '../jobs/hot-standby-status.js';
import type { JobVerb, JsonObject } from '../jobs/messages.js';
import { dueBackups } from '../jobs/verify.js';
import { serverPaths } from '../repository/paths.js';
import { ClockWatch } from './clock.js';
import type { Chore } from './scheduler.js';
import type { DaemonState } from './state.js';
import { sweepServer } from './sweep.js';

/** What the daemon does by itself. */
export function choresOf(state: DaemonState): Chore[] {
  return [expiry(state), verification(state), hotStandby(state)];
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
      const { NumberOfRemoved, Freed } = await runByItself(state, 'expire', server, { Scheduled: true }, signal);
      if (NumberOfRemoved === 0) state.log.debug(`nothing of ${server} has expired`);
      else state.log.info(`expiry of ${server}: ${NumberOfRemoved} backups removed`, { server, freed: Number(Freed) });
    },
  };
}

/** How often it is looked whether it is time to verify a backup, in seconds. */
const LOOK = 600;

/** Scheduled verification, of one server at a time: it keeps a disk busy. */
function verification(state: DaemonState): Chore {
  let busy = false;
  return {
    name: 'verification',
    interval: () => Math.min(state.configuration.main.verification, LOOK),
    run: async (server, signal) => {
      const { base_dir: base, verification: interval } = state.configuration.main;
      const due = await dueBackups(serverPaths(base, server), interval);
      if (due.length === 0) return;
      if (busy) {
        throw new PgmonetaError('VERIFY_ERROR', 'the backups of another server are being verified', {
          retryable: true,
        });
      }
      busy = true;
      try {
        const { NumberOfVerified, Damaged } = await runByItself(state, 'verify', server, { Scheduled: true }, signal);
        const damaged = (Damaged as readonly string[]).length;
        state.verifications.add(server, Number(NumberOfVerified), damaged);
        const level = damaged === 0 ? 'info' : 'error';
        state.log[level](`${NumberOfVerified} backups of ${server} were verified, ${damaged} of them have faults`, {
          server,
        });
      } finally {
        busy = false;
      }
    },
  };
}

/** How often it is looked whether a hot standby is behind, in seconds. */
const STANDBY_LOOK = 60;
/** How long one that failed is not tried again, in milliseconds; a backup tries at once. */
const STANDBY_RETRY = 600_000;

/**
 * Hot standbys that a killed or cancelled update left behind, or that failed. The first look comes with the start of the
 * daemon.
 */
function hotStandby(state: DaemonState): Chore {
  const notBefore = new Map<string, number>();
  return {
    name: 'hot standby',
    interval: () => STANDBY_LOOK,
    first: 1,
    run: async (server, signal) => {
      // A backup that is being taken sees to it itself.
      if (state.supervisor.isActive(server, 'backup') || performance.now() < (notBefore.get(server) ?? 0)) return;
      if (!(await standbysBehind(state.configuration, server))) return;
      if (standbysFailed(await runByItself(state, 'hot-standby', server, {}, signal))) {
        notBefore.set(server, performance.now() + STANDBY_RETRY);
      }
    },
  };
}

/** Runs a job that nobody asked for; when the daemon ends, its supervisor tells the job. */
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
