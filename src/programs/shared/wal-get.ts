import { resolve } from 'node:path';
import { readTextFile } from '../../config/files/read.js';
import { resolveConfigurationPaths } from '../../config/index.js';
import { readConfigurationText } from '../../config/load.js';
import { asPgmonetaError, PgmonetaError } from '../../errors/index.js';
import { getWalFile } from '../../jobs/wal-get.js';
import { FETCH_FAILED } from '../../restore/restore-command.js';
import { WalSecret } from './wal-secret.js';

/** A `wal-get` on the command line. */
export interface WalGetArguments {
  /** Configuration of the daemon; undefined: where it is looked for. */
  readonly configuration: string | undefined;
  readonly server: string;
  readonly file: string;
  /** Relative to the working directory, as PostgreSQL gives it. */
  readonly target: string;
}

/**
 * Carries out `wal-get` without the daemon.
 * @returns the exit code, as a `restore_command` must have it: 0 for a file that is there now, 1 for one that the
 * repository has not got, {@link FETCH_FAILED} for everything else
 */
export async function walGet({ configuration, server, file, target }: WalGetArguments): Promise<number> {
  try {
    const secret = new WalSecret();
    const request = {
      baseDir: baseDirOf(configuration, server),
      server,
      file,
      target: resolve(target),
      masterSecret: () => secret.get(),
    };
    const got = await getWalFile(request).catch(async (error) => {
      if (await secret.doubt()) return getWalFile(request);
      throw error;
    });
    return got ? 0 : 1;
  } catch (error) {
    const { message, hint } = asPgmonetaError(error);
    process.stderr.write(`pgmoneta-cli wal-get ${server} ${file}: ${message}\n${hint ? `hint: ${hint}\n` : ''}`);
    return FETCH_FAILED;
  }
}

/** Only the place of the repository counts: mistakes elsewhere in the file are no reason to stop a recovery. */
function baseDirOf(configuration: string | undefined, server: string): string {
  const { main: path } = resolveConfigurationPaths({ config: configuration });
  const { text } = readTextFile(path, 'the configuration file', 'name the file of the daemon with -c');
  const { main, servers } = readConfigurationText(path, text, null, { lenient: true });
  if (!servers.some(({ name }) => name === server)) {
    throw new PgmonetaError('RESTORE_NOSERVER', `server '${server}' is not in ${path}`, {
      hint: `configured are: ${servers.map(({ name }) => name).join(', ') || 'none'}`,
    });
  }
  return main.base_dir;
}
