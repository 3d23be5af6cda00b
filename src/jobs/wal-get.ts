import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { writeFileDurable } from '../native/fs.js';
import { copySegments } from '../native/wal-scan.js';
import { formatLsn, isSegmentName, parseSegmentName, segmentStart } from '../postgres/types.js';
import { isValid, listBackups } from '../repository/catalogue.js';
import { isGone } from '../repository/gone.js';
import { serverPaths } from '../repository/paths.js';
import { readArchive } from '../wal/archive.js';
import { readIdentity, type WalIdentity } from '../wal/identity.js';
import { historyNames, storedSegmentName } from '../wal/stored-name.js';
import { readBackupWal, readSizedArchive } from './wal-facts.js';

/** A file of WAL that a recovering server asks for. */
export interface WalFileRequest {
  readonly baseDir: string;
  readonly server: string;
  /** Plain name of a segment or of a history file. */
  readonly file: string;
  /** Full path of where it goes. */
  readonly target: string;
  /** Opens encrypted segments; asked for only when one is met. */
  readonly masterSecret: () => Promise<Buffer>;
}

const HISTORY = /^[0-9A-F]{8}\.history$/;
const CODECS = ['none', 'zstd', 'lz4', 'gzip', 'bzip2'] as const;
/** A segment that is compressed meanwhile has gone under the name that was found: it is looked for again. */
const ATTEMPTS = 5;
const ATTEMPT_PAUSE_MS = 200;

/**
 * Takes one file of WAL out of the repository, with the daemon or without it. The target has its name only when it is
 * whole and on disk.
 * @returns false when the repository has not got it
 * @throws PgmonetaError when it is there and cannot be had: recovery must not take that for the end of the WAL
 */
export async function getWalFile(request: WalFileRequest): Promise<boolean> {
  const { file } = request;
  for (let attempt = 1; ; attempt++) {
    try {
      if (HISTORY.test(file)) return await getHistory(request);
      return isSegmentName(file) && (await getSegment(request));
    } catch (error) {
      if (!isGone(error) || attempt === ATTEMPTS) throw error;
      await pause(ATTEMPT_PAUSE_MS);
    }
  }
}

async function getHistory({ baseDir, server, file, target }: WalFileRequest): Promise<boolean> {
  const { wal } = serverPaths(baseDir, server);
  for (const name of historyNames(Number.parseInt(file.slice(0, 8), 16))) {
    const text = await readFile(join(wal, name), 'latin1').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) continue;
    // 0.21 puts a NUL byte at the end.
    await writeFileDurable(target, Buffer.from(text.replace(/\0+$/, ''), 'latin1'));
    return true;
  }
  return false;
}

async function getSegment(request: WalFileRequest): Promise<boolean> {
  const { baseDir, server, file, target } = request;
  const { wal } = serverPaths(baseDir, server);
  const { segmentSize, systemIdentifier } = await identityOf(baseDir, server);
  const found = (await wholeFileOf(wal, file, segmentSize)) ?? (await openFileOf(wal, file, segmentSize));
  if (found === undefined) return false;
  const { timeline, number } = parseSegmentName(file, segmentSize);
  const [copied] = await copySegments({
    copies: [
      {
        source: join(wal, found.name),
        target,
        timeline,
        start: formatLsn(segmentStart(number, segmentSize)),
        pad: found.partial,
      },
    ],
    workers: 1,
    segmentSize,
    systemIdentifier,
    masterSecret: found.sealed ? await request.masterSecret() : undefined,
  });
  return copied?.written === true;
}

interface FoundFile {
  readonly name: string;
  readonly sealed: boolean;
  readonly partial: boolean;
}

/** A directory of WAL may have tens of thousands of names: a whole segment is looked for without listing them. */
async function wholeFileOf(wal: string, segment: string, segmentSize: number): Promise<FoundFile | undefined> {
  const { timeline, number } = parseSegmentName(segment, segmentSize);
  for (const codec of CODECS) {
    for (const sealed of [false, true]) {
      const name = storedSegmentName(timeline, number, { codec, sealed, partial: false }, segmentSize);
      if (await isFile(join(wal, name))) return { name, sealed, partial: false };
    }
  }
  return undefined;
}

/** The segment that is being received, or was when the server was lost. */
async function openFileOf(wal: string, segment: string, segmentSize: number): Promise<FoundFile | undefined> {
  if (!(await isFile(join(wal, `${segment}.partial`)))) return undefined;
  const { open } = await readArchive(wal, segmentSize);
  return open?.segment === segment ? { name: open.file, sealed: false, partial: true } : undefined;
}

async function isFile(path: string): Promise<boolean> {
  return lstat(path).then(
    (status) => status.isFile(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Size of the segments, and the cluster that they have to be of; the repository of 0.21 does not keep them. */
async function identityOf(
  baseDir: string,
  server: string,
): Promise<{ segmentSize: number; systemIdentifier: string | undefined }> {
  const paths = serverPaths(baseDir, server);
  const kept: WalIdentity | undefined = await readIdentity(paths.walIdentity);
  if (kept !== undefined) return kept;
  const backups = (await listBackups(paths)).filter(isValid);
  const { archive } = await readSizedArchive(paths.wal, await Promise.all(backups.map(readBackupWal)));
  return { segmentSize: archive.segmentSize, systemIdentifier: undefined };
}
