import type { Assembled } from './assemble.js';
import { MAIN_SECTION } from './assemble.js';
import { effectiveRetention } from './effective.js';
import type { MainSettings, ServerSettings } from './options/index.js';
import { STORAGE_ENGINES } from './options/without-effect.js';
import type { Problem, ProblemList } from './text/problem.js';
import { closest } from './text/suggest.js';
import { checkHotStandby } from './validate-hot-standby.js';
import { retentionProblem } from './values/retention.js';

/** Adds a problem of a setting as a whole. */
type Report = (key: string, message: string, severity?: Problem['severity']) => void;

/** Bytes that a Unix socket address holds on every platform we run on. */
const SOCKET_PATH_BYTES = 103;
const SOCKET_NAME = '.s.pgmoneta';

function checkPair(report: Report, settings: object, certificate: string, key: string, authority: string): void {
  const values = settings as Readonly<Record<string, unknown>>;
  if (values[certificate] !== null && values[key] === null)
    report(key, `${certificate} is set, so ${key} is needed too`);
  if (values[key] !== null && values[certificate] === null) {
    report(certificate, `${key} is set, so ${certificate} is needed too`);
  }
  if (values[authority] !== null && values[certificate] === null && !authority.startsWith('tls_')) {
    report(certificate, `${authority} is set, so ${certificate} and ${key} are needed too`);
  }
}

function checkEngines(report: Report, main: MainSettings, servers: readonly ServerSettings[]): void {
  const needs: Readonly<Record<string, readonly (keyof MainSettings)[]>> = {
    ssh: ['ssh_hostname', 'ssh_username', 'ssh_base_dir'],
    s3: ['s3_region', 's3_access_key_id', 's3_secret_access_key', 's3_bucket', 's3_base_dir'],
    azure: ['azure_storage_account', 'azure_container', 'azure_shared_key', 'azure_base_dir'],
  };
  if (main.storage_engine.length === 0) report('storage_engine', 'there is no storage engine');
  for (const engine of main.storage_engine) {
    if (!STORAGE_ENGINES.has(engine)) {
      const available = [...STORAGE_ENGINES].join(', ');
      report(
        'storage_engine',
        `this version has no storage engine ${engine}: nothing would be kept there; it has: ${available}`,
      );
    }
    for (const key of needs[engine] ?? []) {
      const inServers =
        servers.length > 0 && servers.every((server) => (server as unknown as Record<string, unknown>)[key] != null);
      if (main[key] === null && !inServers) report(key, `storage_engine has ${engine}, which needs ${key}`);
    }
  }
}

function checkMain(report: Report, main: MainSettings, servers: readonly ServerSettings[]): void {
  if (typeof main.unix_socket_dir === 'string') {
    const bytes = Buffer.byteLength(`${main.unix_socket_dir}/${SOCKET_NAME}`);
    if (bytes > SOCKET_PATH_BYTES) {
      report('unix_socket_dir', `the path of the socket has ${bytes} bytes; at most ${SOCKET_PATH_BYTES} are possible`);
    }
  }
  if (main.tls && (main.tls_cert_file === null || main.tls_key_file === null)) {
    report('tls', 'tls is on, so tls_cert_file and tls_key_file are needed too');
  }
  if (!main.tls && (main.management_tls === 'allow' || main.management_tls === 'require')) {
    report('management_tls', `management_tls is ${main.management_tls}, so tls = on is needed too`);
  }
  checkPair(report, main, 'metrics_cert_file', 'metrics_key_file', 'metrics_ca_file');
  checkEngines(report, main, servers);
  const ports = ['metrics', 'nagios', 'management', 'console'] as const;
  for (const [index, key] of ports.entries()) {
    const other = ports.slice(0, index).find((earlier) => main[earlier] !== 0 && main[earlier] === main[key]);
    if (other !== undefined) report(key, `${other} has the same port ${main[key]}`);
  }
}

function checkServer(
  report: Report,
  server: ServerSettings,
  { main, servers }: Assembled,
  users: Set<string> | null,
): void {
  if (server.follow !== null && !servers.some((other) => other.name === server.follow)) {
    const near = closest(
      server.follow,
      servers.map((other) => other.name),
    );
    report('follow', `there is no server ${server.follow}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  if (server.follow === server.name) report('follow', 'a server cannot follow itself');
  if (users !== null && typeof server.user === 'string' && !users.has(server.user)) {
    const near = closest(server.user, users);
    const suggestion =
      near === undefined ? `add it with: pgmoneta-admin -U ${server.user} user add` : `did you mean ${near}?`;
    report('user', `the users file has no user ${server.user}; ${suggestion}`);
  }
  checkPair(report, server, 'tls_cert_file', 'tls_key_file', 'tls_ca_file');
  const problem = retentionProblem(effectiveRetention(server.retention, main.retention));
  if (problem !== null) report('retention', `together with [${MAIN_SECTION}]: ${problem}`);
  checkHotStandby(report, server, main, servers);
  const twin = servers.find((other) => other !== server && sameSlot(other, server));
  if (twin !== undefined && servers.indexOf(twin) < servers.indexOf(server)) {
    report(
      'wal_slot',
      `[${twin.name}] receives from the same slot of the same host and port; each needs its own`,
      'warning',
    );
  }
  if (server.channel_binding === 'require' && server.sslmode === 'disable') {
    report('channel_binding', 'channel_binding is require, which needs TLS, and sslmode is disable');
  }
}

function sameSlot(a: ServerSettings, b: ServerSettings): boolean {
  return a.host === b.host && a.port === b.port && a.wal_slot === b.wal_slot;
}

/**
 * Judges the settings of a file as a whole. `users` are the names of the users file, `null` when they are not known.
 * Everything wrong goes to `problems`.
 */
export function validate(assembled: Assembled, users: Set<string> | null, problems: ProblemList): void {
  const { main, servers, lines } = assembled;
  checkMain(
    (key, message, severity = 'error') => problems.add({ severity, section: MAIN_SECTION, key, message }),
    main,
    servers,
  );
  if (servers.length === 0) {
    problems.add({
      severity: 'error',
      message: 'there is no server; add a section with host, port, user and wal_slot',
    });
  }
  for (const server of servers) {
    const line = lines.get(server.name);
    checkServer(
      (key, message, severity = 'error') =>
        problems.add({
          severity,
          line,
          section: server.name,
          key: line === undefined ? key : `[${server.name}] ${key}`,
          message,
        }),
      server,
      assembled,
      users,
    );
  }
}
