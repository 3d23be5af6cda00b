import { readFile } from 'node:fs/promises';
import { writeTextDurable } from './durable.js';
import type { ServerPaths } from './paths.js';

/** What is remembered of one hot standby. */
export interface KnownHotStandby {
  /** The last update, or try. */
  readonly at: Date;
  /** Label of the backup that the copy was made of; empty when none is known. */
  readonly backup: string;
  /** Files of the copy and their bytes; 0 when not known. */
  readonly files: number;
  readonly bytes: number;
  /** Why the last try failed; empty when it did not. */
  readonly problem: string;
}

/** What is remembered of the hot standbys of a server, by configured directory. */
export type KnownHotStandbys = ReadonlyMap<string, KnownHotStandby>;

/** Reads it. A file that cannot be read or understood is as good as none. */
export async function readHotStandbys(paths: ServerPaths): Promise<KnownHotStandbys> {
  try {
    const document = JSON.parse(await readFile(paths.hotStandbys, 'utf8')) as { Directories?: object };
    return new Map(
      Object.entries(document.Directories ?? {}).flatMap(([directory, entry]) => {
        const known = readEntry(entry);
        return known === undefined ? [] : [[directory, known] as const];
      }),
    );
  } catch {
    return new Map();
  }
}

function readEntry(entry: unknown): KnownHotStandby | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { At, Backup, Files, Bytes, Problem } = entry as Record<string, unknown>;
  const at = new Date(String(At));
  if (Number.isNaN(at.getTime())) return undefined;
  return {
    at,
    backup: typeof Backup === 'string' ? Backup : '',
    files: typeof Files === 'number' ? Files : 0,
    bytes: typeof Bytes === 'number' ? Bytes : 0,
    problem: typeof Problem === 'string' ? Problem : '',
  };
}

/**
 * Replaces what is remembered. The lock of the server's hot standbys has to be held.
 * @throws PgmonetaError IO, NO_SPACE
 */
export function rememberHotStandbys(paths: ServerPaths, known: KnownHotStandbys): Promise<void> {
  const entries = [...known].map(([directory, { at, backup, files, bytes, problem }]) => {
    const document = { At: at.toISOString(), Backup: backup, Files: files, Bytes: bytes, Problem: problem };
    return `${JSON.stringify(directory)}: ${JSON.stringify(document)}`;
  });
  return writeTextDurable(paths.hotStandbys, `{ "Version": 1,\n"Directories": {\n${entries.join(',\n')}\n}}\n`);
}
