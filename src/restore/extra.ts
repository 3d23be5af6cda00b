import { createReadStream, existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { decompressFile } from '../native/codec.js';
import { type CipherMode, decryptFile } from '../native/crypto.js';
import { copyFileDurable, hashFileSha512 } from '../native/fs.js';
import type { KnownBackup } from '../repository/catalogue.js';
import { cipherOfCode, codecOfCode, storedSuffix } from '../repository/codes.js';
import { makeDirectories } from '../repository/directories.js';
import { BACKUP_FILES } from '../repository/paths.js';

/** What came of the extra files of a backup. */
export interface ExtraRestored {
  readonly files: number;
  /** What could not be given back, and why. */
  readonly problems: readonly string[];
}

/**
 * Puts the files that a backup has beside the cluster (setting `extra`) below a directory, under the paths that they had
 * on the server. Each is compared with its digest in `backup.sha512`; nothing that is there already is touched.
 */
export async function restoreExtra(
  { directory: backup, info }: KnownBackup,
  directory: string,
  options: { readonly masterSecret: Buffer | undefined; readonly signal: AbortSignal },
): Promise<ExtraRestored> {
  const names = await filesBelow(join(backup, 'extra'));
  if (names.length === 0) return { files: 0, problems: [`backup ${info.label} has no extra files`] };
  const digests = await listedDigests(join(backup, BACKUP_FILES.sha512));
  const form = { codec: codecOfCode(info.compression) ?? 'none', cipher: cipherOfCode(info.encryption) ?? 'none' };
  const problems: string[] = [];
  let files = 0;
  for (const name of names) {
    options.signal.throwIfAborted();
    try {
      await restoreOne({ backup, name, digest: digests.get(name), directory, ...form }, options.masterSecret);
      files += 1;
    } catch (error) {
      const { message, hint } = asPgmonetaError(error);
      problems.push(`extra/${name}: ${message}${hint ? ` (${hint})` : ''}`);
    }
  }
  return { files, problems };
}

interface OneFile {
  readonly backup: string;
  /** Below `extra/`, as stored. */
  readonly name: string;
  readonly digest: string | undefined;
  readonly directory: string;
  readonly codec: string;
  readonly cipher: string;
}

async function restoreOne(file: OneFile, masterSecret: Buffer | undefined): Promise<void> {
  const { backup, name, digest, directory, codec, cipher } = file;
  const stored = join(backup, 'extra', name);
  if (digest === undefined || (await hashFileSha512(stored)) !== digest) {
    throw new PgmonetaError('CORRUPT', `${stored} does not match backup.sha512`, {
      hint: 'the stored file is damaged: take it from another backup',
    });
  }
  // Full backups of 0.21 keep these files plain, whatever the settings are.
  const suffix = storedSuffix(codec, cipher);
  const encoded = suffix !== '' && name.endsWith(suffix);
  const target = join(directory, encoded ? name.slice(0, -suffix.length) : name);
  if (existsSync(target)) {
    throw new PgmonetaError('RESTORE_ERROR', `${target} is there already`, { hint: 'name an empty directory' });
  }
  await makeDirectories(dirname(target));
  let at = encoded ? `${target}${suffix}` : target;
  try {
    await copyFileDurable(stored, at);
    if (encoded && cipher !== 'none') {
      if (masterSecret === undefined) throw new PgmonetaError('MASTER_KEY_INVALID', 'there is no master key');
      at = (await decryptFile(at, { masterSecret, mode: cipher as CipherMode })).destination;
    }
    if (encoded && codec !== 'none') await decompressFile(at);
  } catch (error) {
    await rm(at, { force: true });
    throw error;
  }
}

/** Regular files below a directory, relative to it, sorted; none when it is not there. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1)).sort();
}

/** SHA-512 of what `backup.sha512` names below `extra/`, by path below that. */
async function listedDigests(list: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const lines = createInterface({ input: createReadStream(list), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    const found = /^([0-9a-f]{128}) [ *](?:\.\/)?extra\/(.+)$/.exec(line);
    if (found) digests.set(found[2] as string, found[1] as string);
  }
  return digests;
}
