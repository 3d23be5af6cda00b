import { chmod, chown } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { PgmonetaError } from '../errors/index.js';
import type { SecretSource } from './payload.js';
import type { ManagementHandler, ManagementLog } from './request.js';
import { type ServeDeadlines, ServedConnection } from './serve.js';
import { checkSocketPath, groupId, removeStaleSocket } from './socket-path.js';

/** Open connections beyond this are closed at once. */
const MAX_CONNECTIONS = 128;

export interface ManagementListenerOptions {
  /** The socket file; its directory must exist. */
  readonly socketPath: string;
  /** Permissions of the socket file; 0600 when absent. */
  readonly mode?: number | undefined;
  /** Group of the socket file, by name or number. */
  readonly group?: string | undefined;
  /** The master secret, for clients that encrypt. */
  readonly secret?: SecretSource | undefined;
  readonly handler: ManagementHandler;
  readonly log: ManagementLog;
  /** Most connections at a time; 128 when absent. */
  readonly maxConnections?: number | undefined;
  readonly deadlines?: ServeDeadlines | undefined;
}

/**
 * The management socket of the daemon. Whoever may open the socket file may do everything, so the file is never
 * wider than its mode, not for a moment. Each connection is on its own: what one peer does, or leaves undone, is not
 * felt by another.
 */
export class ManagementListener {
  private readonly server: Server;
  private readonly connections = new Set<ServedConnection>();
  private served = 0;

  constructor(private readonly options: ManagementListenerOptions) {
    // Half-open: a client that has closed its sending side still gets its reply.
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket));
  }

  /** How many requests are being worked on. */
  get active(): number {
    return [...this.connections].filter((connection) => connection.working).length;
  }

  /**
   * Creates the socket and listens on it. A socket that a dead daemon left is replaced.
   * @throws PgmonetaError SOCKET_IN_USE when a live daemon answers on it, IO when it cannot be created
   */
  async listen(): Promise<void> {
    const { socketPath, mode = 0o600, group } = this.options;
    checkSocketPath(socketPath);
    const gid = group === undefined || group === '' ? undefined : await groupId(group);
    await removeStaleSocket(socketPath);
    await this.bind(socketPath);
    try {
      if (gid !== undefined) await chown(socketPath, -1, gid);
      await chmod(socketPath, mode);
    } catch (error) {
      await this.close({ graceMs: 0 });
      throw cannotListen(socketPath, error as Error);
    }
  }

  /**
   * Stops accepting, waits for running requests, then closes what is left and removes the socket file.
   * @param options graceMs: how long replies of running requests are waited for, in milliseconds
   */
  async close(options: { readonly graceMs: number }): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
    for (const connection of this.connections) if (!connection.working) connection.destroy();
    if (options.graceMs > 0 && this.connections.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      const grace = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, options.graceMs);
      });
      await Promise.race([grace, Promise.all([...this.connections].map((connection) => connection.done))]);
      clearTimeout(timer);
    }
    for (const connection of this.connections) connection.destroy();
    await closed;
  }

  private bind(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => reject(cannotListen(path, error));
      this.server.once('error', failed);
      // The file is created inside this call, so the mask holds for it and for nothing else of this thread.
      const mask = process.umask(0o177);
      try {
        this.server.listen(path, () => {
          this.server.off('error', failed);
          this.server.on('error', (error) => this.options.log.warn(`management: ${path}: ${error.message}`));
          resolve();
        });
      } finally {
        process.umask(mask);
      }
    });
  }

  private accept(socket: Socket): void {
    if (this.connections.size >= (this.options.maxConnections ?? MAX_CONNECTIONS)) {
      this.options.log.warn(`management: refused a connection: ${this.connections.size} are open`);
      socket.destroy();
      return;
    }
    const peer = { transport: 'unix', description: `client ${++this.served} on the Unix socket` } as const;
    const connection = new ServedConnection(socket, peer, this.options);
    this.connections.add(connection);
    void connection.done.then(() => this.connections.delete(connection));
  }
}

function cannotListen(path: string, error: Error): PgmonetaError {
  return new PgmonetaError('IO', `the management socket ${path} cannot be created: ${error.message}`, {
    cause: error,
    hint: 'unix_socket_dir must be an existing directory that the daemon may write to',
  });
}
