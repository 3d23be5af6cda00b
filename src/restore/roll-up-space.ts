import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { KnownBackup } from '../repository/catalogue.js';
import { BACKUP_FILES } from '../repository/paths.js';

const PREFIX = 'INCREMENTAL.';

/**
 * Bytes that a roll-up takes on disk before it gives any back: all that the child has, and of the parent the files of
 * which the child has changed blocks; the others become links. For backups of pgmoneta in C, which do not list sizes, the
 * whole of both.
 */
export async function rollUpSpace(parent: KnownBackup, child: KnownBackup): Promise<number> {
  const changed = new Set<string>();
  let listed = false;
  for await (const { path } of filesOf(child)) {
    listed = true;
    const slash = path.lastIndexOf('/') + 1;
    if (path.startsWith(PREFIX, slash)) changed.add(path.slice(0, slash) + path.slice(slash + PREFIX.length));
  }
  let combined = 0;
  for await (const { path, storedSize } of filesOf(parent)) {
    listed = true;
    const slash = path.lastIndexOf('/') + 1;
    const plain = path.startsWith(PREFIX, slash) ? path.slice(0, slash) + path.slice(slash + PREFIX.length) : path;
    if (changed.has(plain)) combined += storedSize;
  }
  return child.info.backupSize + (listed ? combined : parent.info.backupSize);
}

/** The files in `backup.json`; none when there is no such file. Lines that are not understood are passed over. */
async function* filesOf({ directory }: KnownBackup): AsyncGenerator<{ path: string; storedSize: number }> {
  const input = createReadStream(join(directory, BACKUP_FILES.json), 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (!line.startsWith('{ "Path": ') || !line.includes('"StoredSize"')) continue;
      const { Path, StoredSize } = JSON.parse(line.replace(/,$/, '')) as { Path: string; StoredSize: number };
      yield { path: Path, storedSize: StoredSize };
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    input.destroy();
  }
}
