import { connect as connectSocket, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { serialize } from 'pg-protocol';
import { PgmonetaError } from '../errors/index.js';
import { tlsServerEndPoint } from '../security/scram.js';
import { fromConnect } from './network-error.js';
import type { ResolvedOptions } from './options.js';
import { contextOf, describePeer, isSocketDirectory, type Peer, sectionOf, socketPath } from './peer.js';
import { startTls } from './tls.js';

/** Takes bytes as they were read; the buffer is valid during the call only. Returns false to stop reading. */
export type BytesHandler = (chunk: Buffer) => boolean;

/** A byte stream to a server, plain or TLS. */
export interface Transport {
  readonly socket: Socket;
  readonly encrypted: boolean;
  /** Channel binding data of the TLS link, where its certificate defines some. */
  readonly binding: Buffer | undefined;
  /** Number of the socket's file descriptor, for those who read past this class; undefined where bytes need decrypting. */
  readonly descriptor: number | undefined;
  /** Set once by the owner before anything is written. */
  onBytes: BytesHandler;
  /** Called when the link is gone, with the error when there was one. */
  onClosed: (error?: Error) => void;
}

class Link implements Transport {
  onBytes: BytesHandler = () => true;
  onClosed: (error?: Error) => void = () => {};
  socket!: Socket;
  encrypted = false;
  binding: Buffer | undefined;

  get descriptor(): number | undefined {
    if (this.encrypted) return undefined;
    // No public name leads to it; where it is not, everything goes through the socket as usual.
    const { _handle: handle } = this.socket as unknown as { _handle?: { fd?: number } | null };
    const descriptor = handle?.fd;
    return descriptor !== undefined && descriptor >= 0 ? descriptor : undefined;
  }

  /** Takes over a socket: from now on its errors and its end arrive at `onClosed`, once. */
  adopt(socket: Socket): void {
    this.socket = socket;
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.once('close', () => this.onClosed(failure));
  }
}

function connected(socket: Socket, peer: Peer): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(fromConnect(error, peer));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      peer.localAddress = socket.localAddress;
      resolve(socket);
    });
  });
}

function destination(options: ResolvedOptions): { path: string } | { host: string; port: number } {
  const { host, port } = options;
  return isSocketDirectory(host) ? { path: socketPath(host, port) } : { host, port };
}

/** A link without TLS. The socket reads into one buffer that is used again and again: no allocation, no copy. */
async function openPlain(options: ResolvedOptions, peer: Peer, deadline: AbortSignal): Promise<Transport> {
  const link = new Link();
  const onread = {
    buffer: Buffer.allocUnsafeSlow(options.readBufferSize),
    callback: (bytes: number, buffer: Uint8Array): boolean => link.onBytes((buffer as Buffer).subarray(0, bytes)),
  };
  const socket = connectSocket({ ...destination(options), onread, noDelay: true, signal: deadline });
  link.adopt(await connected(socket, peer));
  socket.setKeepAlive(true, options.keepAlive * 1000);
  return link;
}

/** Asks for TLS. Resolves to the server's answer, `S` or `N`. */
function requestTls(socket: Socket, peer: Peer): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error?: Error): void =>
      reject(fromConnect(error ?? new Error('the server closed the connection when it was asked for TLS'), peer));
    const closed = (): void => fail();
    socket.once('error', fail);
    socket.once('close', closed);
    socket.once('data', (answer: Buffer) => {
      socket.off('error', fail);
      socket.off('close', closed);
      socket.pause();
      // More than the one byte would be data that somebody slipped in before the encryption.
      if (answer.length === 1 && (answer[0] === 0x53 || answer[0] === 0x4e)) return resolve(answer.toString('latin1'));
      const hint = `check that host and port in ${sectionOf(peer)} are those of a PostgreSQL server`;
      const message = `${describePeer(peer)} answered the request for TLS with something that PostgreSQL never sends`;
      reject(new PgmonetaError('POSTGRES_PROTOCOL', message, { hint, context: contextOf(peer) }));
    });
    socket.write(serialize.requestSsl());
  });
}

/** A link with TLS, or null when the server offers none. */
async function openTls(options: ResolvedOptions, peer: Peer, deadline: AbortSignal): Promise<Transport | null> {
  const socket = connectSocket({ ...destination(options), noDelay: true, signal: deadline });
  await connected(socket, peer);
  socket.setKeepAlive(true, options.keepAlive * 1000);
  try {
    if ((await requestTls(socket, peer)) === 'N') {
      socket.destroy();
      return null;
    }
    return secureLink(await startTls(socket, options, peer), peer);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function secureLink(secure: TLSSocket, peer: Peer): Transport {
  const link = new Link();
  link.encrypted = true;
  link.adopt(secure);
  secure.on('data', (chunk: Buffer) => {
    if (!link.onBytes(chunk)) secure.pause();
  });
  peer.encrypted = true;
  const certificate = secure.getPeerCertificate().raw as Buffer | undefined;
  link.binding = certificate === undefined ? undefined : (tlsServerEndPoint(certificate) ?? undefined);
  return link;
}

/**
 * Opens a link.
 * @param encryption `never`, `if offered`, or `always`
 * @param deadline ends the attempt, and the link with it
 */
export async function openTransport(
  options: ResolvedOptions,
  peer: Peer,
  encryption: 'never' | 'if offered' | 'always',
  deadline: AbortSignal,
): Promise<Transport> {
  peer.encrypted = false;
  if (encryption === 'never' || isSocketDirectory(options.host)) return openPlain(options, peer, deadline);
  const secure = await openTls(options, peer, deadline);
  if (secure !== null) return secure;
  if (encryption === 'if offered') return openPlain(options, peer, deadline);
  throw new PgmonetaError('POSTGRES_TLS', `${describePeer(peer)} offers no TLS, and sslmode is ${options.sslmode}`, {
    hint: `set ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf of the server, or a weaker sslmode in ${sectionOf(peer)}`,
    context: contextOf(peer),
  });
}
