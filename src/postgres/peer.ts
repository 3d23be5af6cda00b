import { isIPv6 } from 'node:net';

/** Who talks to whom: the facts that every message about a connection needs. Holds no secret. */
export interface Peer {
  /** Name of the server's section in the configuration. */
  readonly server?: string | undefined;
  /** Host name, address, or directory of the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly replication: boolean;
  /** Whether TLS was negotiated; known once the link stands. */
  encrypted?: boolean;
  /** Our own address on a TCP link. */
  localAddress?: string | undefined;
}

/** Whether a host setting is the directory of a Unix socket. */
export function isSocketDirectory(host: string): boolean {
  return host.startsWith('/');
}

/** Path of the Unix socket of a port in a directory. */
export function socketPath(directory: string, port: number): string {
  return `${directory.replace(/\/+$/, '')}/.s.PGSQL.${port}`;
}

/** Where the server is: `db1:5432`, `[::1]:5432` or the path of its socket. */
export function addressOf(peer: Pick<Peer, 'host' | 'port'>): string {
  if (isSocketDirectory(peer.host)) return `socket ${socketPath(peer.host, peer.port)}`;
  return isIPv6(peer.host) ? `[${peer.host}]:${peer.port}` : `${peer.host}:${peer.port}`;
}

/** `server primary (db1:5432)`, or `the server at db1:5432` when it has no name. */
export function describePeer(peer: Peer): string {
  return peer.server === undefined ? `the server at ${addressOf(peer)}` : `server ${peer.server} (${addressOf(peer)})`;
}

/** The section of the configuration that a hint points to. */
export function sectionOf(peer: Peer): string {
  return peer.server === undefined ? "the server's section of pgmoneta.conf" : `[${peer.server}] in pgmoneta.conf`;
}

/** Facts for the log. */
export function contextOf(peer: Peer): Record<string, string | number | boolean> {
  return {
    ...(peer.server === undefined ? {} : { server: peer.server }),
    host: peer.host,
    port: peer.port,
    user: peer.user,
    replication: peer.replication,
  };
}

/**
 * The line that pg_hba.conf needs for this connection.
 * @param address our address as the server sees it, when its message tells
 */
export function hbaLine(peer: Peer, address = peer.localAddress): string {
  const database = peer.replication ? 'replication' : quoteHba(peer.database);
  const user = quoteHba(peer.user);
  if (isSocketDirectory(peer.host)) return `local ${database} ${user} scram-sha-256`;
  const plain = address?.replace(/^::ffff:/, '').replace(/%.*$/, '');
  const range = plain === undefined ? '<address of this host>/32' : `${plain}/${isIPv6(plain) ? 128 : 32}`;
  return `${peer.encrypted ? 'hostssl' : 'host'} ${database} ${user} ${range} scram-sha-256`;
}

function quoteHba(name: string): string {
  const plain =
    /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) && !/^(all|sameuser|samerole|samegroup|replication)$/.test(name);
  return plain ? name : `"${name.replaceAll('"', '""')}"`;
}
