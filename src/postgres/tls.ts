import { readFile, stat } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { PgmonetaError } from '../errors/index.js';
import type { ResolvedOptions } from './options.js';
import { contextOf, describePeer, type Peer, sectionOf } from './peer.js';

/** Codes of the certificate errors that Node.js and OpenSSL raise while a chain is verified. */
const UNTRUSTED =
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT_ALTNAME|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH|CRL_)/;

async function readPem(setting: string, path: string, peer: Peer): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new PgmonetaError(
      'POSTGRES_TLS',
      `${setting} of ${describePeer(peer)} cannot be read: ${path} (${(error as NodeJS.ErrnoException).code})`,
      {
        hint: `correct ${setting} in ${sectionOf(peer)}, or the permissions of the file`,
        context: { ...contextOf(peer), path },
        cause: error,
      },
    );
  }
}

/** A private key that others can read is as good as published: refused, as PostgreSQL's own clients do. */
async function refuseOpenKey(path: string, peer: Peer): Promise<void> {
  const { mode, uid } = await stat(path);
  const open = uid === 0 && process.getuid?.() !== 0 ? mode & 0o037 : mode & 0o077;
  if (open === 0) return;
  throw new PgmonetaError(
    'POSTGRES_TLS',
    `tls_key_file of ${describePeer(peer)} can be read by others: ${path} has mode ${(mode & 0o777).toString(8).padStart(4, '0')}`,
    {
      hint: `run: chmod 0600 ${path}`,
      context: { ...contextOf(peer), path },
    },
  );
}

/** The options of the handshake that an sslmode and the TLS files ask for. */
async function handshakeOptions(options: ResolvedOptions, peer: Peer): Promise<ConnectionOptions> {
  const { certFile, keyFile, caFile } = options.tls;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new PgmonetaError('POSTGRES_TLS', `${describePeer(peer)} has only one of tls_cert_file and tls_key_file`, {
      hint: `set both in ${sectionOf(peer)}, or none of them`,
      context: contextOf(peer),
    });
  }
  if (keyFile !== undefined) {
    await readPem('tls_key_file', keyFile, peer);
    await refuseOpenKey(keyFile, peer);
  }
  const verify = caFile !== undefined || options.sslmode.startsWith('verify-');
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify,
    host: options.host,
    ...(isIP(options.host) === 0 ? { servername: options.host } : {}),
    ...(options.sslmode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(caFile === undefined ? {} : { ca: await readPem('tls_ca_file', caFile, peer) }),
    ...(certFile === undefined ? {} : { cert: await readPem('tls_cert_file', certFile, peer) }),
    ...(keyFile === undefined ? {} : { key: await readPem('tls_key_file', keyFile, peer) }),
  };
}

/** A failed handshake, with the way out. */
export function fromHandshake(error: unknown, peer: Peer): PgmonetaError {
  if (error instanceof PgmonetaError) return error;
  const failure = error as NodeJS.ErrnoException;
  const code = failure.code ?? '';
  const detail = code === '' || failure.message.includes(code) ? failure.message : `${failure.message} (${code})`;
  const details = { context: contextOf(peer), cause: error };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return new PgmonetaError(
      'POSTGRES_TLS_UNTRUSTED',
      `the certificate of ${describePeer(peer)} is made out to another name: ${failure.message}`,
      {
        hint: `use the name of the certificate as host in ${sectionOf(peer)}, give the server a certificate for ${peer.host}, or use sslmode = verify-ca`,
        ...details,
      },
    );
  }
  if (UNTRUSTED.test(code)) {
    return new PgmonetaError(
      'POSTGRES_TLS_UNTRUSTED',
      `the certificate of ${describePeer(peer)} is not trusted: ${detail}`,
      {
        hint: /EXPIRED|NOT_YET/.test(code)
          ? 'renew the certificate of the server, and check the clocks of both hosts'
          : `set tls_ca_file in ${sectionOf(peer)} to the certificate (PEM) of the authority that signed it, or of the server itself when it is self-signed`,
        ...details,
      },
    );
  }
  return new PgmonetaError('POSTGRES_TLS', `TLS with ${describePeer(peer)} failed: ${detail}`, {
    hint: `check ssl_cert_file, ssl_key_file, ssl_ca_file and ssl_min_protocol_version of the server, and tls_cert_file, tls_key_file and tls_ca_file in ${sectionOf(peer)}`,
    ...details,
  });
}

/**
 * Starts TLS on a connected socket whose server agreed to it.
 * @throws PgmonetaError POSTGRES_TLS or POSTGRES_TLS_UNTRUSTED
 */
export async function startTls(socket: Socket, options: ResolvedOptions, peer: Peer): Promise<TLSSocket> {
  const settings = await handshakeOptions(options, peer);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.destroy();
      reject(fromHandshake(error, peer));
    };
    const closed = (): void => fail(new Error('the server closed the connection during the handshake'));
    try {
      const secure = connectTls({ ...settings, socket });
      secure.once('error', fail);
      secure.once('close', closed);
      secure.once('secureConnect', () => {
        secure.off('error', fail);
        secure.off('close', closed);
        resolve(secure);
      });
    } catch (error) {
      // A certificate or key that is no PEM throws at once.
      fail(error as Error);
    }
  });
}
