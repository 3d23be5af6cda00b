import type { ServerSettings } from '../config/index.js';
import { connect } from './connect.js';
import type { Connection } from './connection.js';
import { identifySystem, queryFacts, type ServerFacts } from './facts.js';
import type { ConnectOptions } from './options.js';

/** The settings of a server that a connection needs; `ServerSettings` and the effective ones both have them. */
export type ServerAddress = Pick<
  ServerSettings,
  'name' | 'host' | 'port' | 'user' | 'sslmode' | 'channel_binding' | 'tls_cert_file' | 'tls_key_file' | 'tls_ca_file'
>;

/** Connection options from the settings of a server. */
export function serverOptions(server: ServerAddress, password: string | undefined): ConnectOptions {
  return {
    server: server.name,
    host: server.host,
    port: server.port,
    user: server.user,
    password,
    sslmode: server.sslmode,
    channelBinding: server.channel_binding,
    tls: {
      certFile: server.tls_cert_file || undefined,
      keyFile: server.tls_key_file || undefined,
      caFile: server.tls_ca_file || undefined,
    },
  };
}

/**
 * Connects to a configured server.
 * @param password from the users file
 * @param options what differs from an ordinary SQL connection: `{ replication: true }`, a signal
 */
export function connectServer(
  server: ServerAddress,
  password: string | undefined,
  options: Partial<ConnectOptions> = {},
): Promise<Connection> {
  return connect({ ...serverOptions(server, password), ...options });
}

/** The facts of a configured server, over an ordinary connection of its own. */
export async function readFacts(
  server: ServerAddress,
  password: string | undefined,
  signal?: AbortSignal,
): Promise<ServerFacts> {
  const connection = await connectServer(server, password, { signal });
  try {
    return await queryFacts(connection);
  } finally {
    await connection.close();
  }
}

/**
 * Looks at a server in both ways that backups use it: ordinary connection (facts) and replication connection
 * (identity, the timeline that is written now). Whatever a backup would stumble over shows here.
 */
export async function probeServer(
  server: ServerAddress,
  password: string | undefined,
  signal?: AbortSignal,
): Promise<ServerFacts> {
  const facts = await readFacts(server, password, signal);
  const connection = await connectServer(server, password, { replication: true, signal });
  try {
    const { timeline } = await identifySystem(connection);
    return { ...facts, timeline };
  } finally {
    await connection.close();
  }
}
