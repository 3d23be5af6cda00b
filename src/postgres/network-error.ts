import { type ErrorCode, PgmonetaError } from '../errors/index.js';
import { contextOf, describePeer, isSocketDirectory, type Peer, sectionOf, socketPath } from './peer.js';

interface NetworkRow {
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint: (peer: Peer) => string;
  readonly retryable: boolean;
}

const reach = (peer: Peer): string =>
  isSocketDirectory(peer.host)
    ? `is the server running, with ${peer.host} in unix_socket_directories and port = ${peer.port} in its postgresql.conf? Otherwise correct host and port in ${sectionOf(peer)}`
    : `is the server running, with listen_addresses = '*' (or the address) and port = ${peer.port} in its postgresql.conf? Otherwise correct host and port in ${sectionOf(peer)}`;

const route = (peer: Peer): string =>
  `check host and port in ${sectionOf(peer)}, and the firewalls between this host and the server`;

const name = (peer: Peer): string =>
  `correct host in ${sectionOf(peer)}, or make the name known to this host (DNS, /etc/hosts)`;

/** What the operating system says, when a connection cannot be made. */
const ROWS: Readonly<Record<string, NetworkRow>> = {
  ECONNREFUSED: { code: 'POSTGRES_UNREACHABLE', what: 'nobody listens there', hint: reach, retryable: true },
  ENOENT: { code: 'POSTGRES_UNREACHABLE', what: 'there is no such socket', hint: reach, retryable: true },
  EACCES: {
    code: 'POSTGRES_UNREACHABLE',
    what: 'this user may not use the socket',
    hint: (peer) =>
      `give the user of pgmoneta access to ${socketPath(peer.host, peer.port)} (unix_socket_permissions, unix_socket_group of the server)`,
    retryable: false,
  },
  ENOTFOUND: { code: 'POSTGRES_HOST_UNKNOWN', what: 'the host name is not known', hint: name, retryable: false },
  EAI_AGAIN: {
    code: 'POSTGRES_HOST_UNKNOWN',
    what: 'the host name could not be looked up',
    hint: name,
    retryable: true,
  },
  EAI_NODATA: { code: 'POSTGRES_HOST_UNKNOWN', what: 'the host name has no address', hint: name, retryable: false },
  EHOSTUNREACH: { code: 'POSTGRES_UNREACHABLE', what: 'there is no route to the host', hint: route, retryable: true },
  ENETUNREACH: { code: 'POSTGRES_UNREACHABLE', what: 'there is no route to the network', hint: route, retryable: true },
  ETIMEDOUT: { code: 'POSTGRES_TIMEOUT', what: 'the host does not answer', hint: route, retryable: true },
};

/** An error of the operating system while connecting. */
export function fromConnect(error: unknown, peer: Peer): PgmonetaError {
  if (error instanceof PgmonetaError) return error;
  const system = error as NodeJS.ErrnoException;
  const row = ROWS[system.code ?? ''];
  const detail = system.code ?? system.message;
  if (row === undefined) {
    return new PgmonetaError(
      'POSTGRES_UNREACHABLE',
      `${describePeer(peer)} cannot be reached: ${system.message || detail}`,
      {
        hint: route(peer),
        retryable: true,
        context: contextOf(peer),
        cause: error,
      },
    );
  }
  return new PgmonetaError(row.code, `${describePeer(peer)} cannot be reached: ${row.what} (${detail})`, {
    hint: row.hint(peer),
    retryable: row.retryable,
    context: contextOf(peer),
    cause: error,
  });
}

/** The server did not finish the dialogue of the start in time. */
export function connectTimeout(peer: Peer, seconds: number, stage: string): PgmonetaError {
  return new PgmonetaError('POSTGRES_TIMEOUT', `${describePeer(peer)} did not answer within ${seconds} s (${stage})`, {
    hint: `${route(peer)}; a server that hangs shows up in its own log`,
    retryable: true,
    context: contextOf(peer),
  });
}

/** A connection that stood has gone. */
export function connectionLost(peer: Peer, doing: string | undefined, cause?: unknown): PgmonetaError {
  const detail = cause === undefined ? 'it was closed by the other side' : (cause as Error).message;
  const during = doing === undefined ? '' : ` during ${doing}`;
  return new PgmonetaError(
    'POSTGRES_CONNECTION_LOST',
    `the connection to ${describePeer(peer)} broke${during}: ${detail}`,
    {
      hint: 'the server log says whether it crashed, was restarted or ended the session; otherwise look at the network between',
      retryable: true,
      context: { ...contextOf(peer), ...(doing === undefined ? {} : { doing }) },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
