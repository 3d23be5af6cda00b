import type { Configuration } from '../config/index.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { deriveMasterSecretAsync, readMasterKey, readVault } from '../security/index.js';

/** The secrets of the daemon: held in memory, handed to jobs by message, never logged. */
export interface Credentials {
  /** What file keys and the management link's keys are derived from; undefined without a master key. */
  readonly masterSecret: Buffer | undefined;
  /** Passwords by PostgreSQL user. */
  readonly users: ReadonlyMap<string, string>;
}

/**
 * Reads master key and users file, and checks that every server's user is known.
 * @throws PgmonetaError MASTER_KEY_INVALID, VAULT_INVALID or CONFIGURATION_INVALID
 */
export async function readCredentials(configuration: Configuration): Promise<Credentials> {
  const { masterSecret, users } = await unlock(configuration);
  const unknown = configuration.servers.filter((server) => !users.has(server.user));
  if (unknown.length > 0) {
    const list = unknown.map((server) => `server ${server.name}: user '${server.user}'`).join('; ');
    throw new PgmonetaError('CONFIGURATION_INVALID', `not in ${configuration.files.users}: ${list}`, {
      hint: `add a user with: pgmoneta-admin -f ${configuration.files.users} user add`,
    });
  }
  if (configuration.main.encryption !== 'none' && masterSecret === undefined) {
    throw new PgmonetaError('MASTER_KEY_INVALID', `encryption = ${configuration.main.encryption} needs a master key`);
  }
  return { masterSecret, users };
}

async function unlock(configuration: Configuration): Promise<Credentials> {
  const key = await readMasterKey();
  const users = await readVault(configuration.files.users, key).catch((error: unknown) => {
    const known = asPgmonetaError(error, 'VAULT_INVALID');
    throw new PgmonetaError(known.code, known.message, {
      cause: error,
      hint: known.hint ?? `make one with: pgmoneta-admin -f ${configuration.files.users} user add`,
    });
  });
  return { masterSecret: await deriveMasterSecretAsync(key), users };
}
