import { serialize } from 'pg-protocol';
import type { BackendMessage } from 'pg-protocol/dist/messages.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import type { Connection } from './connection.js';
import { watchSilence } from './inactivity.js';
import { contextOf, describePeer } from './peer.js';
import { watchSignal } from './watch-signal.js';

/** A manifest to be uploaded. */
export interface UploadManifestOptions {
  /** Seconds in which the server has to take something, or answer. Default 300; 0 = wait for ever. */
  readonly inactivityTimeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_INACTIVITY = 300;
const DOING = 'UPLOAD_MANIFEST';

/**
 * Hands the server the manifest of a backup, which makes that backup the parent of the next incremental BASE_BACKUP on
 * the same connection. The manifest goes out piece by piece, no faster than the server takes it.
 * @param connection a replication connection to PostgreSQL 17 or newer
 * @param manifest the bytes of `backup_manifest`, exactly as the server once sent them, in pieces of any size
 * @throws PgmonetaError for what the server reports, a broken or silent connection, cancellation (CANCELLED), and
 * whatever reading the manifest throws
 */
export async function uploadManifest(
  connection: Connection,
  manifest: AsyncIterable<Buffer>,
  options: UploadManifestOptions = {},
): Promise<void> {
  refuse(connection);
  const upload = new Upload(connection, manifest);
  const release = watchSignal(connection, options.signal, 'the backup');
  const rest = watchSilence(connection, DOING, options.inactivityTimeout ?? DEFAULT_INACTIVITY, () => upload.stands());
  try {
    await connection.exchange({
      doing: DOING,
      request: serialize.query(DOING),
      message: (message) => upload.message(message),
    });
  } finally {
    upload.end();
    rest();
    release();
  }
  await upload.settled;
}

function refuse({ peer, version }: Connection): void {
  if (!peer.replication) throw new PgmonetaError('INTERNAL', `${DOING} needs a replication connection`);
  if (version.major >= 17) return;
  throw new PgmonetaError(
    'POSTGRES_UNSUPPORTED',
    `${describePeer(peer)} is PostgreSQL ${version.text}; incremental backups of the server need 17`,
    { hint: 'take a full backup', context: contextOf(peer) },
  );
}

/** One COPY to the server. */
class Upload {
  /** Settles when nothing more is sent. */
  settled: Promise<void> = Promise.resolve();
  readonly #connection: Connection;
  readonly #manifest: AsyncIterable<Buffer>;
  #over = false;
  #sent = 0;
  #seen = 0;

  constructor(connection: Connection, manifest: AsyncIterable<Buffer>) {
    this.#connection = connection;
    this.#manifest = manifest;
  }

  /** Whether nothing was sent since the last call. */
  stands(): boolean {
    const stands = this.#sent === this.#seen;
    this.#seen = this.#sent;
    return stands;
  }

  /** The server has answered for good: it takes nothing more. */
  end(): void {
    this.#over = true;
  }

  message({ name }: BackendMessage): void {
    if (name !== 'copyInResponse') return;
    this.settled = this.#send();
    this.settled.catch((error) => this.#connection.abort(asPgmonetaError(error)));
  }

  async #send(): Promise<void> {
    for await (const piece of this.#manifest) {
      // The server may refuse the manifest before it has all of it.
      if (this.#over || this.#connection.closed) return;
      this.#sent++;
      if (!this.#connection.send(serialize.copyData(piece))) await this.#connection.writable();
    }
    if (!this.#over && !this.#connection.closed) this.#connection.send(serialize.copyDone());
  }
}
