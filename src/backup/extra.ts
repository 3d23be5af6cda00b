import { rm } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { EffectiveServer } from '../config/index.js';
import { asPgmonetaError, PgmonetaError } from '../errors/index.js';
import { StoredFileWriter } from '../native/stored.js';
import { connectServer, openServerFiles, type ServerFile, type ServerFiles } from '../postgres/index.js';
import { codecOf, storedSuffix } from '../repository/codes.js';
import { makeDirectories } from '../repository/directories.js';

/** What is to be fetched, and how it is kept. */
export interface ExtraOrder {
  readonly server: EffectiveServer;
  readonly password: string | undefined;
  readonly compression: string;
  readonly compressionLevel: number;
  readonly encryption: string;
  readonly masterSecret: Buffer | undefined;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface ExtraOutcome {
  readonly files: number;
  /** Bytes on the server. */
  readonly size: number;
  /** What could not be fetched, and why. */
  readonly problems: readonly string[];
}

const NOTHING: ExtraOutcome = { files: 0, size: 0, problems: [] };

/**
 * Fetches the files of the setting `extra` into `<directory>/extra/`, under their paths on the server, in the form in which
 * the backup is kept. They are no part of the cluster: what cannot be had is a problem to report and spoils no backup.
 * @throws PgmonetaError CANCELLED, and IO, NO_SPACE of the repository
 */
export async function fetchExtra(directory: string, order: ExtraOrder): Promise<ExtraOutcome> {
  const { server, password, signal } = order;
  if (server.extra.length === 0) return NOTHING;
  const problems: string[] = [];
  let [files, size] = [0, 0];
  try {
    const connection = await connectServer(server, password, { signal });
    try {
      const source = await openServerFiles(connection);
      for (const { path } of await listAll(source, server.extra, problems)) {
        signal.throwIfAborted();
        const fetched = await fetchOne(source, path, directory, order, problems);
        if (fetched === undefined) continue;
        files += 1;
        size += fetched;
      }
    } finally {
      await connection.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isOurs(error)) throw error;
    problems.push(`extra files of ${server.name} were not fetched: ${told(error)}`);
  }
  return { files, size, problems };
}

/** Each file once, however often the setting names it. */
async function listAll(source: ServerFiles, wanted: readonly string[], problems: string[]): Promise<ServerFile[]> {
  const found = new Map<string, ServerFile>();
  for (const path of wanted) {
    try {
      for (const file of await source.list(path)) found.set(placeOf(file.path), file);
    } catch (error) {
      problems.push(`extra ${path} was not fetched: ${told(error)}`);
    }
  }
  return [...found.values()];
}

/** Bytes of the file; undefined when the server does not give it. */
async function fetchOne(
  source: ServerFiles,
  path: string,
  directory: string,
  order: ExtraOrder,
  problems: string[],
): Promise<number | undefined> {
  const { compression, compressionLevel, encryption, masterSecret } = order;
  const target = join(directory, 'extra', `${placeOf(path)}${storedSuffix(compression, encryption)}`);
  await makeDirectories(dirname(target));
  const writer = new StoredFileWriter({
    path: target,
    codec: codecOf(compression),
    level: compressionLevel,
    workers: 1,
    ...(encryption === 'none' || masterSecret === undefined ? {} : { cipher: { mode: encryption, masterSecret } }),
  });
  try {
    for await (const piece of source.read(path)) await writer.push(piece);
    return (await writer.finish()).plainSize;
  } catch (error) {
    await writer.abort();
    await rm(target, { force: true });
    if (isOurs(error)) throw error;
    problems.push(`extra ${path} was not fetched: ${told(error)}`);
    return undefined;
  }
}

/** Where a file goes below `extra/`: what the server says is not trusted to stay there. */
function placeOf(path: string): string {
  const place = posix.normalize(`/${path}`).slice(1);
  if (place !== '' && !place.includes('\0')) return place;
  throw new PgmonetaError('POSTGRES_PROTOCOL', `the server names a file '${path}'`);
}

/** Whether the repository is in trouble rather than the server. */
function isOurs(error: unknown): boolean {
  return error instanceof PgmonetaError && ['IO', 'NO_SPACE', 'CORRUPT', 'USAGE'].includes(error.code);
}

function told(error: unknown): string {
  const { message, hint } = asPgmonetaError(error);
  return hint ? `${message} (${hint})` : message;
}
