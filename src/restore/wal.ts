import { access, chmod, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { syncDirectory, writeFileDurable } from '../native/fs.js';
import { copySegments } from '../native/wal-scan.js';
import { makeDirectories } from '../repository/directories.js';
import { isGone } from '../repository/gone.js';

/** A segment that goes into `pg_wal`. */
export interface WalSegment {
  /** The file as it is stored. */
  readonly source: string;
  /** 24 digits. */
  readonly name: string;
  readonly timeline: number;
  /** Its first byte, `%X/%X`. */
  readonly start: string;
  /** It was never completed. */
  readonly partial: boolean;
}

/** What goes into `pg_wal` of a restored cluster, beside what the backup brings. */
export interface WalOrder {
  /** Bytes. */
  readonly segmentSize: number;
  /** Decimal; WAL of another cluster is refused. */
  readonly systemIdentifier: string | undefined;
  readonly segments: readonly WalSegment[];
  /** Name and content, one character for each byte. */
  readonly histories: readonly { readonly name: string; readonly text: string }[];
  /** Finds segments again: a finished one gets another name while it is read. */
  readonly locate: (segments: readonly WalSegment[]) => Promise<readonly WalSegment[]>;
}

/** How WAL is copied. */
export interface WalCopyControl {
  /** Threads. */
  readonly workers: number;
  readonly masterSecret: Buffer | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** How long segments that got another name are looked for. */
const PATIENCE_MS = 180_000;
const ATTEMPT_PAUSE_MS = 300;

/**
 * Brings WAL into a data directory that is being built: plain, durable, and marked as archived, so that the new cluster
 * does not archive it once more.
 * @throws PgmonetaError CORRUPT when a segment is not what it should be, IO, NO_SPACE, CANCELLED
 */
export async function copyWal(dataDirectory: string, order: WalOrder, control: WalCopyControl): Promise<void> {
  const directory = join(dataDirectory, 'pg_wal');
  const status = join(directory, 'archive_status');
  await makeDirectories(status);
  // What is planned is better than what the backup has of it; and what is there afterwards is done.
  for (const { name } of order.segments) await rm(join(directory, name), { force: true });
  await copyAll(directory, order, control);
  for (const { name, text } of order.histories) {
    if (!(await exists(join(directory, name))))
      await writeFileDurable(join(directory, name), Buffer.from(text, 'latin1'));
  }
  await settle(dataDirectory, directory, status, order);
}

async function copyAll(directory: string, order: WalOrder, control: WalCopyControl): Promise<void> {
  const { segmentSize, systemIdentifier } = order;
  const { workers, masterSecret, signal, onProgress } = control;
  const total = order.segments.length * segmentSize;
  const deadline = performance.now() + PATIENCE_MS;
  for (let isFirst = true; ; isFirst = false) {
    const missing: WalSegment[] = [];
    for (const segment of order.segments) {
      if (!(await exists(join(directory, segment.name)))) missing.push(segment);
    }
    if (missing.length === 0) return;
    const found = isFirst ? missing : await order.locate(missing);
    const copies = found.map(({ source, name, timeline, start, partial }) => ({
      source,
      target: join(directory, name),
      timeline,
      start,
      pad: partial,
    }));
    const before = total - missing.length * segmentSize;
    try {
      const onProgressHere = ({ bytesDone }: { bytesDone: number }): void => onProgress(before + bytesDone, total);
      await copySegments(
        { copies, workers, segmentSize, systemIdentifier, masterSecret },
        { signal, onProgress: onProgressHere },
      );
      return;
    } catch (error) {
      if (!isGone(error) || performance.now() > deadline) throw error;
      await pause(ATTEMPT_PAUSE_MS, undefined, { signal });
    }
  }
}

/** Marks everything as archived, gives files the modes of the cluster, and makes the directories durable. */
async function settle(dataDirectory: string, directory: string, status: string, order: WalOrder): Promise<void> {
  const mode = (await stat(dataDirectory)).mode & 0o050 ? 0o640 : 0o600;
  const names = (await readdir(directory)).filter((name) => /^([0-9A-F]{24}|[0-9A-F]{8}\.history)$/.test(name));
  for (const name of names) {
    await writeFile(join(status, `${name}.done`), '', { mode });
    await rm(join(status, `${name}.ready`), { force: true });
  }
  if (mode !== 0o600) {
    for (const { name } of [...order.segments, ...order.histories]) {
      if (await exists(join(directory, name))) await chmod(join(directory, name), mode);
    }
  }
  await syncDirectory(status);
  await syncDirectory(directory);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
