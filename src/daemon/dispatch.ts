import { type ConfigurationPaths, configurationDocument, type EffectiveServer } from '../config/index.js';
import { PgmonetaError } from '../errors/index.js';
import { infoVerb } from '../jobs/info.js';
import { listBackupVerb } from '../jobs/list-backup.js';
import type { JobVerb, JsonObject } from '../jobs/messages.js';
import { flag, optionalText } from '../jobs/request.js';
import { serverOf } from '../jobs/servers.js';
import { statusVerb } from '../jobs/status.js';
import type { ManagementRequest, ManagementResult } from '../management/index.js';
import { serverPaths } from '../repository/paths.js';
import { reloadVerb, setVerb } from './conf.js';
import { expireVerb } from './expire.js';
import { progressVerb } from './progress.js';
import { walNotReceived } from './require-wal.js';
import type { DaemonState } from './state.js';
import { sweepServer } from './sweep.js';

/** Verbs that run in a process of their own, with the error for a server that is not configured. */
const HEAVY = {
  backup: 'BACKUP_NOSERVER',
  restore: 'RESTORE_NOSERVER',
  archive: 'ARCHIVE_NOSERVER',
  verify: 'VERIFY_NOSERVER',
  delete: 'DELETE_NOSERVER',
  expire: 'RETENTION_NOSERVER',
  retain: 'RETAIN_NOSERVER',
  expunge: 'EXPUNGE_NOSERVER',
  annotate: 'ANNOTATE_NOSERVER',
  compress: undefined,
  decompress: undefined,
  encrypt: undefined,
  decrypt: undefined,
} as const satisfies Record<Exclude<JobVerb, 'hot-standby'>, string | undefined>;

/** Verbs of jobs that a client can ask for. */
type HeavyVerb = keyof typeof HEAVY;

function isHeavy(name: string): name is HeavyVerb {
  return Object.hasOwn(HEAVY, name);
}

/** Carries out management requests: light ones at once, heavy ones in jobs. */
export function dispatcher(
  state: DaemonState,
  paths: ConfigurationPaths,
): (request: ManagementRequest) => Promise<ManagementResult> {
  return async (request) => {
    if (request.name === 'expire') return { response: await expireVerb(state, request, runHeavy) };
    if (isHeavy(request.name)) return { response: await runHeavy(state, request, request.name) };
    return runLight(state, paths, request);
  };
}

async function runHeavy(state: DaemonState, request: ManagementRequest, verb: HeavyVerb): Promise<JsonObject> {
  const { configuration, credentials } = state;
  const missing = HEAVY[verb];
  const server = missing === undefined ? undefined : serverOf(configuration, request.request, missing);
  if (verb === 'backup' && server !== undefined && !state.servers.isOnline(server.name)) {
    throw new PgmonetaError('BACKUP_OFFLINE', `server '${server.name}' is offline`, {
      hint: `bring it back with: pgmoneta-cli mode ${server.name} online`,
    });
  }
  const withoutWal = verb === 'backup' && server !== undefined ? checkWal(state, server, request) : undefined;
  state.log.info(`${verb} starts`, logFields(request));
  const begun = performance.now();
  try {
    const response = await state.supervisor.run({
      verb,
      request: request.request,
      server: server?.name,
      configuration,
      password: server === undefined ? undefined : credentials.users.get(server.user),
      masterSecret: credentials.masterSecret,
      onProgress: request.progress,
      signal: request.signal,
    });
    if (verb === 'verify' && server !== undefined) {
      state.verifications.add(server.name, 1, Number(response.NumberOfFailed) > 0 ? 1 : 0);
    }
    state.log.info(`${verb} done`, { ...logFields(request), seconds: (performance.now() - begun) / 1000 });
    return withoutWal === undefined ? response : { ...response, Warning: withoutWal };
  } catch (error) {
    const { message, hint } = error as PgmonetaError;
    state.log.error(`${verb} failed: ${message}${hint ? `; ${hint}` : ''}`, logFields(request));
    // A killed job could not clean up after itself.
    if (server !== undefined)
      await sweepServer(serverPaths(configuration.main.base_dir, server.name), server.name, state.log).catch(
        (failure) => state.log.warn(`sweep of ${server.name} failed: ${failure.message}`),
      );
    throw error;
  }
}

/**
 * A backup without a live receiver can be restored, but to no later moment than its end.
 * @returns what to warn of
 * @throws PgmonetaError BACKUP_WAL when the request insists on WAL
 */
function checkWal(state: DaemonState, server: EffectiveServer, { request }: ManagementRequest): string | undefined {
  const refusal = walNotReceived(server.name, state.wal.state(server.name), server.follow);
  if (refusal === undefined) return undefined;
  if (flag(request, 'RequireWal')) throw refusal;
  const warning = `${refusal.message}; until it is, the backup can be restored to its own end only`;
  state.log.warn(warning, { server: server.name });
  return warning;
}

function logFields(request: ManagementRequest): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const key of ['Server', 'Backup', 'Position', 'Directory', 'SourceFile']) {
    const value = optionalText(request.request, key);
    if (value !== undefined) fields[key.toLowerCase()] = value;
  }
  return fields;
}

async function runLight(
  state: DaemonState,
  paths: ConfigurationPaths,
  request: ManagementRequest,
): Promise<ManagementResult> {
  const { configuration } = state;
  switch (request.name) {
    case 'ping':
      return { response: {} };
    case 'shutdown':
      state.requestShutdown('shutdown was asked for by a client');
      return {};
    case 'list-backup':
      return { response: await listBackupVerb(request.request, configuration, (name) => state.wal.live(name)) };
    case 'info':
      return { response: await infoVerb(request.request, configuration) };
    case 'status':
    case 'status details':
      return {
        response: await statusVerb(
          configuration,
          (name) => ({
            ...state.servers.state(name, state.supervisor),
            wal: state.wal.describe(name),
            verifications: state.verifications.describe(name),
          }),
          request.name === 'status details',
          (name) => state.wal.live(name),
        ),
      };
    case 'progress':
      return { response: progressVerb(state, request.request) };
    case 'mode':
      return { response: await modeVerb(state, request.request) };
    case 'cancel':
      return { response: cancelVerb(state, request.request) };
    case 'conf ls':
      return {
        response: {
          main_configuration_path: configuration.files.main,
          users_configuration_path: configuration.files.users,
          admin_configuration_path: configuration.files.admins ?? '',
        },
      };
    case 'conf get':
      return {
        response: configurationDocument(configuration, { online: (name: string) => state.servers.isOnline(name) }),
      };
    case 'conf set':
      return { response: await setVerb(state, request.request) };
    case 'conf reload':
      return { response: await reloadVerb(state, paths) };
    default:
      throw new PgmonetaError('UNKNOWN_COMMAND', `this version does not have the command '${request.name}'`, {
        hint: 'see what there is with: pgmoneta-cli --help',
      });
  }
}

async function modeVerb(state: DaemonState, request: JsonObject): Promise<JsonObject> {
  const server = serverOf(state.configuration, request, 'MODE_NOSERVER');
  const action = optionalText(request, 'Action');
  if (action !== 'online' && action !== 'offline') {
    throw new PgmonetaError('MODE_UNKNOWN_ACTION', `'${action ?? ''}' is no mode`, { hint: 'use online or offline' });
  }
  const problem = await state.servers.setOnline(server.name, action === 'online');
  await state.wal.modeChanged(server.name, action === 'online');
  const { version } = state.servers.state(server.name, state.supervisor);
  return {
    MajorVersion: version,
    MinorVersion: 0,
    Online: action === 'online',
    Server: server.name,
    ...(problem === undefined ? {} : { Problem: problem }),
  };
}

function cancelVerb(state: DaemonState, request: JsonObject): JsonObject {
  const server = serverOf(state.configuration, request, 'BACKUP_NOSERVER');
  const cancelled = state.supervisor.cancelServer(server.name, 'a client asked for it');
  if (cancelled === 0) {
    throw new PgmonetaError('CANCELLED', `no job is running for server '${server.name}'`, {
      hint: 'there is nothing to cancel',
    });
  }
  return { Cancelled: cancelled, Server: server.name };
}
