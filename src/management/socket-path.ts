import { lstat, readFile, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';

/** Name of the socket in `unix_socket_dir`. */
export const SOCKET_NAME = '.s.pgmoneta';

/** Bytes of a socket path that every supported system can bind, without the final zero. */
export const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** Path of the management socket in `unix_socket_dir`. */
export function socketPathIn(directory: string): string {
  return join(directory, SOCKET_NAME);
}

/** @throws PgmonetaError CONFIGURATION_INVALID when the operating system would cut the path. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH) return;
  throw new PgmonetaError(
    'CONFIGURATION_INVALID',
    `the path of the management socket has ${bytes} bytes, the operating system takes ${MAX_SOCKET_PATH}: ${path}`,
    { hint: 'set unix_socket_dir to a shorter path' },
  );
}

/**
 * Removes a socket that nobody listens on any more.
 * @throws PgmonetaError SOCKET_IN_USE when a daemon answers on it or when the path is no socket
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new PgmonetaError('IO', `the management socket ${path} cannot be looked at: ${error.message}`, {
      cause: error,
      hint: 'unix_socket_dir must be an existing directory that the daemon may write to',
    });
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new PgmonetaError('SOCKET_IN_USE', `${path} exists and is not a socket`, {
      hint: 'move it away, or set unix_socket_dir to another directory',
    });
  }
  if (await answers(path)) {
    throw new PgmonetaError('SOCKET_IN_USE', `another daemon answers on the management socket ${path}`);
  }
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') {
      throw new PgmonetaError('IO', `the stale management socket ${path} cannot be removed: ${error.message}`, {
        cause: error,
        hint: `check the owner of ${path}; the daemon must be allowed to remove it`,
      });
    }
  });
}

/** Whether something accepts connections on a socket. Only a refused connection proves that nothing does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const tell = (answer: boolean) => {
      probe.destroy();
      resolve(answer);
    };
    probe.setTimeout(2000, () => tell(true));
    probe.once('connect', () => tell(true));
    probe.once('error', (error: NodeJS.ErrnoException) =>
      tell(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

/**
 * The number of a group that is given by name or number.
 * @throws PgmonetaError CONFIGURATION_INVALID when there is no such group
 */
export async function groupId(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const text = await readFile('/etc/group', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === group && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw new PgmonetaError('CONFIGURATION_INVALID', `unix_socket_group names the group ${group}, which does not exist`, {
    hint: 'use a group of /etc/group, or its number',
  });
}
