import { type ConfigurationPaths, loadConfiguration, resolveConfigurationPaths } from '../config/index.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { ManagementListener, socketPathIn } from '../management/index.js';
import { notifyServiceManager } from '../native/system.js';
import { makeDirectories } from '../repository/directories.js';
import { lock } from '../repository/locks.js';
import { repositoryLockPath } from '../repository/paths.js';
import { choresOf } from './chores.js';
import { reload } from './conf.js';
import { readCredentials } from './credentials.js';
import { detach, reportStarted } from './detach.js';
import { dispatcher } from './dispatch.js';
import { type Log, openLog } from './log.js';
import { pidFilePath, writePidFile } from './pidfile.js';
import { Scheduler } from './scheduler.js';
import { ServerRegistry } from './servers.js';
import type { DaemonState } from './state.js';
import { Supervisor } from './supervisor.js';
import { sweepRepository } from './sweep.js';
import { VerificationCounts } from './verifications.js';
import { WalService } from './wal.js';

/** What the command line said. */
export interface DaemonOptions {
  readonly config?: string | undefined;
  readonly users?: string | undefined;
  readonly admins?: string | undefined;
  readonly directory?: string | undefined;
  /** Go into the background once started. */
  readonly daemonize: boolean;
  /** Warn about unknown keys rather than refuse them. */
  readonly lenient: boolean;
}

/** How long replies of cancelled requests may take at shutdown, in milliseconds. */
const GRACE = 5000;

/**
 * Runs the daemon until it is told to stop.
 * @returns the exit status: 0 after an orderly stop
 * @throws PgmonetaError when it cannot start; nothing is left behind then
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  process.umask(0o077);
  try {
    if (options.daemonize) {
      const configuration = loadConfiguration(resolveConfigurationPaths(options), options);
      if (configuration.main.log_type === 'console') {
        throw new PgmonetaError(
          'CONFIGURATION_INVALID',
          'log_type = console cannot be used with -d: nobody would see the log',
          {
            hint: 'set log_type = file (with log_path) or syslog',
          },
        );
      }
      return await detach();
    }
    return await serve(options);
  } catch (error) {
    const known = asPgmonetaError(error);
    tell(`STATUS=${known.message.split('\n')[0]}`);
    reportStarted(known);
    throw known;
  }
}

function tell(state: string): void {
  try {
    notifyServiceManager(state);
  } catch {
    // A service manager that does not listen is no reason not to back up.
  }
}

async function serve(options: DaemonOptions): Promise<number> {
  const paths = resolveConfigurationPaths(options);
  const configuration = loadConfiguration(paths, options);
  const credentials = await readCredentials(configuration);
  const log = openLog(configuration.main);
  for (const warning of configuration.warnings) log.warn(warning);
  const cleanup: (() => void | Promise<void>)[] = [() => log.close()];
  try {
    const { main } = configuration;
    await makeDirectories(main.base_dir).catch((error: Error) => {
      throw new PgmonetaError('IO', `base_dir ${main.base_dir} cannot be made: ${error.message}`, { cause: error });
    });
    const what = `daemon on the repository ${main.base_dir}`;
    const repositoryLock = await lock(repositoryLockPath(main.base_dir), 'exclusive', what, 'REPOSITORY_LOCKED');
    cleanup.unshift(() => repositoryLock.release());
    const stop = new AbortController();
    const state = createState(configuration, credentials, log, stop, options.lenient);
    await sweepRepository(
      main.base_dir,
      configuration.servers.map((server) => server.name),
      log,
    );
    cleanup.unshift(await writePidFile(pidFilePath(main)));
    const listener = createListener(state, paths);
    await listener.listen();
    cleanup.unshift(() => listener.close({ graceMs: GRACE }));
    cleanup.unshift(() => state.supervisor.close('the daemon is shutting down'));
    await state.servers.start();
    cleanup.unshift(() => state.servers.stop());
    await state.wal.start();
    cleanup.unshift(() => state.wal.stop());
    const scheduler = new Scheduler(choresOf(state), log);
    scheduler.start(configuration.servers.map(({ name }) => name));
    cleanup.unshift(() => scheduler.stop());
    handleSignals(state, paths, stop);
    ready(state);
    await waitFor(stop.signal);
    tell('STOPPING=1');
    log.info(`stopping: ${String(stop.signal.reason)}`);
    return 0;
  } finally {
    for (const step of cleanup) await step();
  }
}

function createState(
  configuration: DaemonState['configuration'],
  credentials: DaemonState['credentials'],
  log: Log,
  stop: AbortController,
  lenient: boolean,
): DaemonState {
  const supervisor = new Supervisor(log);
  const state: DaemonState = {
    configuration,
    credentials,
    lenient,
    log,
    supervisor,
    servers: new ServerRegistry(
      () => state.configuration,
      (user) => state.credentials.users.get(user),
      log,
    ),
    wal: new WalService({
      configuration: () => state.configuration,
      passwordOf: (user) => state.credentials.users.get(user),
      masterSecret: () => state.credentials.masterSecret,
      isOnline: (server) => state.servers.isOnline(server),
      log,
    }),
    verifications: new VerificationCounts(),
    requestShutdown: (reason) => stop.abort(reason),
  };
  return state;
}

function createListener(state: DaemonState, paths: ConfigurationPaths): ManagementListener {
  const { main } = state.configuration;
  return new ManagementListener({
    socketPath: socketPathIn(main.unix_socket_dir),
    mode: main.unix_socket_mode,
    group: main.unix_socket_group ?? undefined,
    secret: async () => {
      if (state.credentials.masterSecret !== undefined) return state.credentials.masterSecret;
      throw new PgmonetaError('MASTER_KEY_INVALID', 'the daemon has no master key, so the link cannot be encrypted');
    },
    handler: dispatcher(state, paths),
    log: state.log,
  });
}

function handleSignals(state: DaemonState, paths: ConfigurationPaths, stop: AbortController): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGALRM'] as const) {
    process.on(signal, () => stop.abort(`received ${signal}`));
  }
  process.on('SIGHUP', () => {
    tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    // What was wrong stands in the log; the daemon goes on with what it has.
    reload(state, paths)
      .catch(() => {})
      .finally(() => tell('READY=1'));
  });
  process.on('uncaughtException', (error) => {
    state.log.error(`defect in the daemon: ${error.stack ?? error.message}`);
    stop.abort('a defect was hit');
  });
  process.on('unhandledRejection', (reason) => {
    state.log.error(`defect in the daemon: ${(reason as Error)?.stack ?? String(reason)}`);
  });
}

function ready(state: DaemonState): void {
  const { main, servers } = state.configuration;
  process.title = 'pgmoneta: main';
  state.log.info(`started: ${servers.length} servers, repository ${main.base_dir}`, { pid: process.pid });
  tell(`READY=1\nSTATUS=Running\nMAINPID=${process.pid}`);
  reportStarted();
}

function waitFor(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    // The timer keeps the process alive: everything else may be idle.
    const alive = setInterval(() => {}, 0x7fff_ffff);
    signal.addEventListener('abort', () => {
      clearInterval(alive);
      resolve();
    });
  });
}
