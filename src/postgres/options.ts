import type { Peer } from './peer.js';

/** When TLS is used; the words and their meaning are those of PostgreSQL's own clients. */
export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** Whether SCRAM is bound to the TLS channel. */
export type ChannelBinding = 'disable' | 'prefer' | 'require';

/** TLS files of a server, PEM. They are read anew for each connection. */
export interface TlsFiles {
  /** `tls_cert_file`: certificate of the client. */
  readonly certFile?: string | undefined;
  /** `tls_key_file`: its key, readable by the owner only. */
  readonly keyFile?: string | undefined;
  /** `tls_ca_file`: the certificates that the server's chain must end in, instead of the built-in ones. */
  readonly caFile?: string | undefined;
}

/** What `connect` needs. */
export interface ConnectOptions {
  /** Name of the server's section, for messages. */
  readonly server?: string | undefined;
  /** Host name, address, or directory of the Unix socket (begins with `/`). */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Not needed for trust, peer and cert. */
  readonly password?: string | undefined;
  /** Default `postgres`. */
  readonly database?: string | undefined;
  /** A walsender connection: replication commands and SHOW instead of SQL. */
  readonly replication?: boolean | undefined;
  /** Default `pgmoneta`. */
  readonly applicationName?: string | undefined;
  /** Default `prefer`. Does not matter for Unix sockets. With a CA file the chain is verified in every mode that uses TLS. */
  readonly sslmode?: SslMode | undefined;
  readonly tls?: TlsFiles | undefined;
  /** Default `prefer`. */
  readonly channelBinding?: ChannelBinding | undefined;
  /** Whether a password may be sent in clear over an unencrypted TCP link. Default no. */
  readonly allowCleartextPassword?: boolean | undefined;
  /** Seconds until the connection is ready for use. Default 10. */
  readonly connectTimeout?: number | undefined;
  /** Seconds of silence before TCP probes the other side. Default 30. */
  readonly keepAlive?: number | undefined;
  /** Seconds that one SQL statement may take; 0 = no limit. Default 60. Not for replication commands. */
  readonly statementTimeout?: number | undefined;
  /** Bytes of the read buffer. Default 64 KiB, for replication 512 KiB. */
  readonly readBufferSize?: number | undefined;
  /** Ends the attempt, and later the connection. */
  readonly signal?: AbortSignal | undefined;
}

type Optional = 'server' | 'password' | 'signal';

/** Options with the defaults in place. */
export type ResolvedOptions = {
  readonly [Key in Exclude<keyof ConnectOptions, Optional>]-?: NonNullable<ConnectOptions[Key]>;
} & Pick<ConnectOptions, Optional>;

const KIB = 1024;

/** Fills in the defaults. */
export function resolveOptions(options: ConnectOptions): ResolvedOptions {
  const replication = options.replication ?? false;
  return {
    server: options.server,
    host: options.host,
    port: options.port,
    user: options.user,
    password: options.password,
    database: options.database ?? 'postgres',
    replication,
    applicationName: options.applicationName ?? 'pgmoneta',
    sslmode: options.sslmode ?? 'prefer',
    tls: options.tls ?? {},
    channelBinding: options.channelBinding ?? 'prefer',
    allowCleartextPassword: options.allowCleartextPassword ?? false,
    connectTimeout: options.connectTimeout ?? 10,
    keepAlive: options.keepAlive ?? 30,
    statementTimeout: options.statementTimeout ?? 60,
    readBufferSize: options.readBufferSize ?? (replication ? 512 * KIB : 64 * KIB),
    signal: options.signal,
  };
}

/** The facts about a connection that messages may show. */
export function peerOf(options: ResolvedOptions): Peer {
  const { server, host, port, user, database, replication } = options;
  return { server, host, port, user, database, replication };
}
