import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PgmonetaError } from '../errors/index.js';
import { writeTextDurable } from '../repository/durable.js';

/** Which cluster a server's WAL is of. */
export interface WalIdentity {
  /** Decimal text of an unsigned 64-bit number. */
  readonly systemIdentifier: string;
  /** Bytes per segment. */
  readonly segmentSize: number;
}

const schema = z.object({ systemIdentifier: z.string().regex(/^[0-9]{1,20}$/), segmentSize: z.int().positive() });

/** Reads what was kept; undefined before WAL was ever received. @throws PgmonetaError REPOSITORY_DAMAGED, IO */
export async function readIdentity(path: string): Promise<WalIdentity | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new PgmonetaError('IO', `cannot read ${path}: ${error.message}`, { cause: error });
  });
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new PgmonetaError('REPOSITORY_DAMAGED', `${path} does not say which cluster the WAL beside it is of`, {
      cause: error,
      hint: 'if the configured server is the one whose WAL is there, remove the file: it is written anew',
    });
  }
}

/**
 * Makes sure that the WAL of a server goes where WAL of the same cluster is, and keeps that for the next time.
 * @throws PgmonetaError WAL_DIVERGED when it is another cluster, or its segments have another size
 */
export async function claimIdentity(path: string, server: string, found: WalIdentity): Promise<void> {
  const kept = await readIdentity(path);
  if (kept === undefined) {
    await writeTextDurable(path, `${JSON.stringify(found)}\n`);
    return;
  }
  if (kept.systemIdentifier !== found.systemIdentifier) {
    throw new PgmonetaError(
      'WAL_DIVERGED',
      `server ${server} is another cluster: its system identifier is ${found.systemIdentifier}, that of the WAL in the repository is ${kept.systemIdentifier}`,
      {
        hint: 'check host and port; a cluster that was made anew with initdb needs a section with a name of its own',
      },
    );
  }
  if (kept.segmentSize !== found.segmentSize) {
    throw new PgmonetaError(
      'WAL_DIVERGED',
      `server ${server} now has WAL segments of ${found.segmentSize} bytes, those in the repository have ${kept.segmentSize}`,
      { hint: 'pg_resetwal has changed the size: use a section with a new name, and take a full backup' },
    );
  }
}
