import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PgmonetaError } from '../errors/index.js';
import { copyFileDurable, createDirectoryExclusive } from '../native/fs.js';
import { kindOf } from './hot-standby-paths.js';

/** What only a running server may have written. */
const NEVER = new Set(['postmaster.pid', 'postmaster.opts', 'global/pg_control']);

/**
 * Copies the files of a directory over those of a data directory of the same relative path. Each is a new file that takes
 * its name: the file that had it may be shared with the copy that is being replaced. No link is followed on either side.
 * @returns how many files were copied; undefined when the directory is not there
 * @throws PgmonetaError HOT_STANDBY naming what cannot be copied, IO, NO_SPACE
 */
export async function applyOverrides(
  overrides: string,
  dataDirectory: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const found = await stat(overrides).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw refused(overrides, error.message);
  });
  if (found === undefined) return undefined;
  if (!found.isDirectory()) throw refused(overrides, 'it is not a directory');
  const group = ((await stat(dataDirectory)).mode & 0o050) !== 0;
  const modes = { file: group ? 0o640 : 0o600, directory: group ? 0o750 : 0o700 };
  return copyTree({ overrides, dataDirectory, modes, signal }, '');
}

interface CopyOrder {
  readonly overrides: string;
  readonly dataDirectory: string;
  readonly modes: { readonly file: number; readonly directory: number };
  readonly signal: AbortSignal;
}

async function copyTree(order: CopyOrder, relative: string): Promise<number> {
  const { overrides, dataDirectory, modes, signal } = order;
  let files = 0;
  const entries = await readdir(join(overrides, relative), { withFileTypes: true }).catch((error: Error) => {
    throw refused(join(overrides, relative), error.message);
  });
  for (const entry of entries) {
    signal.throwIfAborted();
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const [source, target] = [join(overrides, path), join(dataDirectory, path)];
    const there = await kindOf(target);
    if (entry.isDirectory()) {
      if (there === 'absent') {
        await createDirectoryExclusive(target);
        await chmod(target, modes.directory);
      } else if (there !== 'directory') throw refused(source, `${path} of the cluster is not a directory`);
      files += await copyTree(order, path);
    } else if (!entry.isFile()) {
      throw refused(source, 'it is neither a file nor a directory, and links are not followed');
    } else if (NEVER.has(path)) {
      throw refused(source, 'no file may be given for this one, which belongs to the server');
    } else if (there === 'directory' || there === 'link') {
      throw refused(source, `${path} of the cluster is no file`);
    } else {
      await copyFileDurable(source, target);
      await chmod(target, modes.file);
      files += 1;
    }
  }
  return files;
}

function refused(path: string, why: string): PgmonetaError {
  return new PgmonetaError('HOT_STANDBY', `${path} of hot_standby_overrides cannot be copied: ${why}`, {
    hint: "put files and directories there that the daemon's user may read",
  });
}
