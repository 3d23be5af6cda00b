import { connect, type Socket } from 'node:net';
import { PgmonetaError } from '../errors/index.js';
import { ClientExchange, type ManagementReply } from './client-exchange.js';
import type { CommandName } from './commands.js';
import type { ProgressReport } from './documents.js';
import { isJsonObject, type JsonObject, type JsonValue } from './json/index.js';
import type { SecretSource } from './payload.js';
import { checkSocketPath } from './socket-path.js';

export interface ManagementClientOptions {
  /** The socket of the daemon. */
  readonly socketPath: string;
  /** Longest time for the connection, in milliseconds; 5000 when absent. */
  readonly connectTimeoutMs?: number | undefined;
  /** Codes of the frames; 0 (none) when absent. */
  readonly compression?: number | undefined;
  readonly encryption?: number | undefined;
  /** The master secret; needed for encryption. */
  readonly secret?: SecretSource | undefined;
}

/** One request. */
export interface ManagementCall {
  readonly command: CommandName;
  readonly request: JsonObject;
  /** 0 text, 1 json, 2 raw: echoed in the header. */
  readonly output?: number | undefined;
  /** Called for each progress frame; its presence asks the daemon for them. */
  readonly onProgress?: ((report: ProgressReport) => void) | undefined;
  /** Set when the request asks for something that only our own daemon can do: what it is, in words. */
  readonly needsProduct?: string | undefined;
}

/**
 * Speaks to a daemon, ours or pgmoneta (C). Each call has a connection of its own, as the protocol wants it.
 *
 * @example
 * const client = new ManagementClient({ socketPath: '/run/pgmoneta/.s.pgmoneta' });
 * const reply = await (await client.send({ command: 'ping', request: {} })).reply;
 */
export class ManagementClient {
  constructor(private readonly options: ManagementClientOptions) {}

  /**
   * Connects and sends a request.
   * @returns the exchange: its `reply` settles with the final frame
   * @throws PgmonetaError CONNECTION when nobody listens, USAGE for text that the daemon could not read
   */
  async send(call: ManagementCall): Promise<ClientExchange> {
    await this.checkPeer(call);
    const { compression = 0, encryption = 0, secret } = this.options;
    const stream = await this.connect();
    const exchange = new ClientExchange(stream, {
      codes: { compression, encryption },
      secret,
      onProgress: call.onProgress,
      peer: this.options.socketPath,
    });
    await exchange.send(call.command, call.request, call.output ?? 0);
    return exchange;
  }

  /** Connects, sends and waits for the final reply. */
  async call(call: ManagementCall): Promise<ManagementReply> {
    const exchange = await this.send(call);
    return exchange.reply;
  }

  /**
   * pgmoneta (C) loses a request that has an apostrophe in it, and does not know what we have added; it is asked
   * first who it is.
   */
  private async checkPeer(call: ManagementCall): Promise<void> {
    const apostrophe = apostropheIn(call.request);
    if (apostrophe === undefined && call.needsProduct === undefined) return;
    const { response } = await this.call({ command: 'ping', request: {} });
    if (response?.ProductVersion !== undefined) return;
    const reason =
      apostrophe === undefined ? `does not know ${call.needsProduct}` : `cannot take an apostrophe: ${apostrophe}`;
    const hint = apostrophe === undefined ? 'ask a daemon of this product' : 'leave the apostrophe out';
    throw new PgmonetaError('USAGE', `pgmoneta (C) at ${this.options.socketPath} ${reason}`, { hint });
  }

  private connect(): Promise<Socket> {
    const { socketPath: path, connectTimeoutMs = 5000 } = this.options;
    checkSocketPath(path);
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      const timer = setTimeout(() => fail(`no answer within ${connectTimeoutMs / 1000} s`), connectTimeoutMs);
      const fail = (reason: string, cause?: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        socket.destroy();
        reject(cannotConnect(path, reason, cause));
      };
      socket.once('error', (error: NodeJS.ErrnoException) => fail(reasonOf(error), error));
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(socket);
      });
    });
  }
}

function cannotConnect(path: string, reason: string, cause: NodeJS.ErrnoException | undefined): PgmonetaError {
  const hint =
    cause?.code === 'EACCES' || cause?.code === 'EPERM'
      ? `run as the user of the daemon, or let your group in with unix_socket_group`
      : 'start the daemon (pgmoneta), or check unix_socket_dir: daemon and client must name the same directory';
  return new PgmonetaError('CONNECTION', `Failed to connect via Unix socket at '${path}': ${reason}`, {
    cause,
    hint,
    retryable: cause?.code !== 'EACCES',
  });
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'there is no such socket';
  if (error.code === 'ECONNREFUSED') return 'nobody listens on it';
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'permission denied';
  return error.message;
}

function apostropheIn(value: JsonValue): string | undefined {
  if (typeof value === 'string') return value.includes("'") ? value : undefined;
  if (!isJsonObject(value)) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = key.includes("'") ? key : apostropheIn(inner);
    if (found !== undefined) return found;
  }
  return undefined;
}
