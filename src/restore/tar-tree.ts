import type { Stats } from 'node:fs';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { PgmonetaError } from '../errors/index.js';

/** Bytes of a block of tar. */
const BLOCK = 512;
/** For names and sizes that need a header of their own: pax writes up to three blocks more. */
const EXTRA = 3 * BLOCK;
/** Files up to this size are read at once: most are far smaller. */
const READ_SIZE = 1024 * 1024;

type Header = Parameters<Pack['entry']>[0];

/** A file, directory or symbolic link below a tree. */
interface Member {
  readonly path: string;
  /** In the archive. */
  readonly name: string;
  readonly stats: Stats;
}

/** Everything below `root`, each directory before what is in it, in the order of names. */
async function* members(root: string, prefix = ''): AsyncGenerator<Member> {
  const names = await readdir(root, { encoding: 'buffer' });
  for (const bytes of names.sort(Buffer.compare)) {
    const name = bytes.toString('utf8');
    if (!Buffer.from(name, 'utf8').equals(bytes)) {
      throw new PgmonetaError('ARCHIVE_EXECUTE', `${join(root, name)} has a name that is not UTF-8`, {
        hint: 'a tar cannot hold such a name so that every program reads it; restore the backup instead',
      });
    }
    const path = join(root, name);
    const stats = await lstat(path);
    yield { path, name: prefix + name, stats };
    if (stats.isDirectory()) yield* members(path, `${prefix}${name}/`);
  }
}

/** The most that a tar of everything below `root` can take, in bytes. */
export async function tarSize(root: string): Promise<number> {
  let size = 2 * BLOCK;
  for await (const { stats } of members(root)) {
    const content = stats.isFile() ? Math.ceil(stats.size / BLOCK) * BLOCK : 0;
    size += BLOCK + EXTRA + content;
  }
  return size;
}

/**
 * A tar of everything below `root`, as a stream: pax where names or sizes need it, with modes, owners, times, and
 * symbolic links as they are.
 * @param onBytes told of plain bytes as they are read
 */
export async function* tarTree(
  root: string,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): AsyncGenerator<Buffer> {
  const archive = pack();
  const filling = fill(archive, root, signal, onBytes).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  );
  try {
    for await (const chunk of archive) yield chunk as Buffer;
    await filling;
  } finally {
    archive.destroy();
  }
}

async function fill(archive: Pack, root: string, signal: AbortSignal, onBytes: (count: number) => void): Promise<void> {
  for await (const { path, name, stats } of members(root)) {
    signal.throwIfAborted();
    const header = { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, mtime: stats.mtime };
    if (stats.isDirectory()) {
      await entry(archive, { ...header, name: `${name}/`, type: 'directory' });
    } else if (stats.isSymbolicLink()) {
      await entry(archive, { ...header, name, type: 'symlink', linkname: await readlink(path) });
    } else if (stats.isFile()) {
      await file(archive, { ...header, name, type: 'file', size: stats.size }, path, onBytes);
    }
  }
}

/** Settles when the archive has taken the member. */
function entry(archive: Pack, header: Header, content: Buffer = Buffer.alloc(0)): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, content, (error) => (error ? reject(error) : resolve()));
  });
}

async function file(
  archive: Pack,
  header: Header & { size: number },
  path: string,
  onBytes: (count: number) => void,
): Promise<void> {
  if (header.size <= READ_SIZE) {
    const content = await readFile(path);
    onBytes(content.length);
    return entry(archive, header, content);
  }
  await new Promise<void>((resolve, reject) => {
    const sink = archive.entry(header, (error) => (error ? reject(error) : resolve()));
    const content = createReadStream(path, { highWaterMark: READ_SIZE });
    content.on('data', (chunk) => onBytes(chunk.length));
    // A stream of streamx: one of Node in all but its type.
    pipeline(content, sink as unknown as Writable).catch(reject);
  });
}
