import { existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { asPgmonetaError } from '../errors/index.js';
import { copyFileDurable, removeTree, syncDirectory } from '../native/fs.js';
import { copySegments } from '../native/wal-scan.js';
import {
  formatLsn,
  type Lsn,
  parseSegmentName,
  type SegmentName,
  segmentName,
  segmentNumber,
  segmentStart,
  type TimelineId,
} from '../postgres/index.js';
import { makeDirectories } from '../repository/directories.js';
import { readArchive, wholeFile } from './archive.js';
import type { WalLog } from './log.js';
import { storedSegmentName } from './stored-name.js';

/** Milliseconds until a target that was away is tried again. */
const RETRY = 10_000;
const PIECE = 256 * 1024;
const PARTIAL = { codec: 'none', sealed: false, partial: true } as const;

/** What a shipper is made of. */
export interface ShipperOptions {
  readonly server: string;
  /** The WAL of the repository. */
  readonly source: string;
  /** `<wal_shipping>/<server>/wal` */
  readonly target: string;
  readonly masterSecret: () => Buffer | undefined;
  readonly log: WalLog;
}

/** The segment that is being received, up to where it is durable. */
interface OpenSegment {
  readonly timeline: TimelineId;
  readonly segmentSize: number;
  readonly durable: Lsn;
}

/** The copy of the open segment. */
interface OpenCopy {
  readonly name: string;
  readonly file: FileHandle;
  readonly start: bigint;
  end: bigint;
}

/**
 * Keeps a second, plain copy of the WAL in another place. It follows behind what is durable in the repository and
 * delays nothing: when the target is away, it waits, and then brings everything that is missing there.
 */
export class WalShipper {
  readonly #options: ShipperOptions;
  #open: OpenSegment | undefined;
  #copy: OpenCopy | undefined;
  /** Whole segments may be missing in the target: everything is compared. */
  #compare = true;
  /** Segments that were completed since. */
  readonly #completed = new Set<SegmentName>();
  #working: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  /** What is in the way, for people; undefined when nothing is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Up to where the copy is, when it is known. */
  get end(): Lsn | undefined {
    return this.#copy?.end as Lsn | undefined;
  }

  /** WAL has become durable in the repository. @param finished segments that were completed with it */
  advance(open: OpenSegment, finished: readonly SegmentName[]): void {
    this.#open = open;
    for (const name of finished) this.#completed.add(name);
    this.#wake();
  }

  /** Ends after the copy that is being made. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
    await this.#drop();
  }

  #wake(): void {
    this.#again = true;
    if (this.#closed || this.#timer !== undefined) return;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async #work(): Promise<void> {
    const { server, target, log } = this.#options;
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        const open = this.#open;
        if (open === undefined) return;
        await this.#bringCompleted(open.segmentSize);
        if (this.#compare) {
          this.#compare = false;
          await this.#bringMissing(open.segmentSize);
        }
        await this.#follow(open);
      }
      if (this.#problem !== undefined) log.info(`WAL of ${server} is shipped to ${target} again`);
      this.#problem = undefined;
    } catch (error) {
      const { message, hint } = asPgmonetaError(error);
      if (this.#problem === undefined) {
        log.error(`WAL of ${server} is not shipped to ${target}: ${message}${hint ? `; ${hint}` : ''}`);
      }
      this.#problem = message;
      this.#compare = true;
      await this.#drop();
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#wake();
      }, RETRY).unref();
    }
  }

  /** Copies the segments that were completed since the last look. */
  async #bringCompleted(segmentSize: number): Promise<void> {
    for (const name of this.#completed) {
      this.#completed.delete(name);
      if (this.#compare || this.#closed) continue;
      const { timeline, number } = parseSegmentName(name, segmentSize);
      await this.#bring(name, timeline, number, segmentSize);
    }
  }

  /** Copies the whole segments and history files that the target does not have. */
  async #bringMissing(segmentSize: number): Promise<void> {
    const { source, target } = this.#options;
    await makeDirectories(target);
    const [here, there] = [await readArchive(source, segmentSize), await readArchive(target, segmentSize)];
    for (const [timeline, runs] of here.timelines) {
      for (const { first, files } of runs) {
        for (const [index, file] of files.entries()) {
          const number = first + BigInt(index);
          if (this.#closed) return;
          if (wholeFile(there, timeline, number) === undefined) await this.#bring(file, timeline, number, segmentSize);
        }
      }
    }
    for (const [timeline, [file]] of here.historyFiles) {
      if (file !== undefined && !there.historyFiles.has(timeline)) {
        await copyFileDurable(join(source, file), join(target, file));
      }
    }
  }

  /** Copies one whole segment, plain. */
  async #bring(file: string, timeline: TimelineId, number: bigint, segmentSize: number): Promise<void> {
    const { source, target, masterSecret } = this.#options;
    const name = segmentName(timeline, number, segmentSize);
    const secret = masterSecret();
    try {
      await copySegments({
        copies: [
          {
            source: join(source, file),
            target: join(target, name),
            timeline,
            start: formatLsn(segmentStart(number, segmentSize)),
            pad: false,
          },
        ],
        segmentSize,
        ...(secret === undefined ? {} : { masterSecret: secret }),
        workers: 1,
      });
    } catch (error) {
      if (existsSync(join(source, file))) throw error;
      // It has been brought into its kept form meanwhile, under another name.
      this.#compare = true;
      this.#again = true;
      return;
    }
    await this.#drop(name);
    await removeTree(join(target, storedSegmentName(timeline, number, PARTIAL, segmentSize)));
    await syncDirectory(target);
  }

  /** Copies what has become durable in the open segment. */
  async #follow({ timeline, segmentSize, durable }: OpenSegment): Promise<void> {
    const { source, target } = this.#options;
    const number = segmentNumber(durable, segmentSize);
    const name = segmentName(timeline, number, segmentSize);
    const start = segmentStart(number, segmentSize);
    if (durable === start) return;
    const partial = storedSegmentName(timeline, number, PARTIAL, segmentSize);
    const from = await open(join(source, partial), 'r').catch((error: NodeJS.ErrnoException) => {
      // It was completed since; the next comparison brings it.
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (from === undefined) return;
    try {
      const copy = await this.#openCopy(name, join(target, partial), start, segmentSize);
      const buffer = Buffer.allocUnsafe(PIECE);
      while (copy.end < durable) {
        const at = Number(copy.end - start);
        const { bytesRead } = await from.read(buffer, 0, Math.min(PIECE, Number(durable - copy.end)), at);
        if (bytesRead === 0) break;
        // A write may take less than it was given; the rest is read again.
        const { bytesWritten } = await copy.file.write(buffer, 0, bytesRead, at);
        copy.end += BigInt(bytesWritten);
      }
      await copy.file.datasync();
    } finally {
      await from.close();
    }
  }

  async #openCopy(name: string, path: string, start: bigint, segmentSize: number): Promise<OpenCopy> {
    if (this.#copy?.name === name) return this.#copy;
    await this.#drop();
    const file = await open(path, 'a+', 0o600).then(async (made) => {
      await made.truncate(segmentSize);
      await made.close();
      return open(path, 'r+');
    });
    await syncDirectory(this.#options.target);
    this.#copy = { name, file, start, end: start };
    return this.#copy;
  }

  /** Closes the copy of the open segment, when it is that of `name` or any. */
  async #drop(name?: string): Promise<void> {
    const copy = this.#copy;
    if (copy === undefined || (name !== undefined && copy.name !== name)) return;
    this.#copy = undefined;
    await copy.file.close().catch(() => {}); // what was not synced is copied again
  }
}
