import { PgmonetaError } from '../errors/index.js';
import type { BaseBackupSink } from './backup-sink.js';
import type { CopyTarget } from './frames.js';

const NEW_ARCHIVE = 0x6e;
const DATA = 0x64;
const MANIFEST = 0x6d;
const PROGRESS = 0x70;

/** A header message holds two names; no path is longer. */
const HEADER_LIMIT = 64 * 1024;

/** What 13 and 14 have no messages for: how often progress is reported, in bytes. */
const PROGRESS_STEP = 16 * 1024 * 1024;

/** Counts and distributes the payload of a backup. Its two kinds know how archives begin and end. */
export abstract class BackupStream implements CopyTarget {
  archiveBytes = 0;
  manifestBytes = 0;
  protected readonly sink: BaseBackupSink;
  protected inArchive = false;
  protected inManifest = false;

  constructor(sink: BaseBackupSink) {
    this.sink = sink;
  }

  abstract data(piece: Buffer, first: boolean, left: number): boolean;

  drained(): Promise<void> {
    return this.sink.drained();
  }

  /** CopyOutResponse. */
  abstract copyBegins(): void;

  /** CopyDone. */
  copyEnds(): void {
    this.endArchive();
  }

  protected beginArchive(name: string, tablespacePath: string | null): void {
    this.endArchive();
    this.inArchive = true;
    this.sink.beginArchive(name, tablespacePath);
  }

  protected endArchive(): void {
    if (!this.inArchive) return;
    this.inArchive = false;
    this.sink.endArchive();
  }

  protected payload(piece: Buffer): boolean {
    if (this.inManifest) {
      this.manifestBytes += piece.length;
      return this.sink.manifest(piece) !== false;
    }
    if (!this.inArchive) throw nonsense('data before any archive');
    this.archiveBytes += piece.length;
    return this.sink.data(piece);
  }
}

/** 15 and newer: one COPY, each message with a type byte. */
export class TypedBackupStream extends BackupStream {
  #kind = 0;
  /** A message other than data, collected because it may be torn. */
  #header: Buffer = Buffer.alloc(0);

  copyBegins(): void {}

  data(piece: Buffer, first: boolean, left: number): boolean {
    let body = piece;
    if (first) {
      this.#kind = piece[0] as number;
      body = piece.subarray(1);
      this.#header = Buffer.alloc(0);
    }
    if (this.#kind === DATA) return body.length === 0 || this.payload(body);
    this.#collect(body);
    if (left === 0) this.#headerComplete();
    return true;
  }

  #collect(body: Buffer): void {
    if (this.#header.length + body.length > HEADER_LIMIT) throw nonsense('a header message that is far too long');
    this.#header = Buffer.concat([this.#header, body]);
  }

  #headerComplete(): void {
    switch (this.#kind) {
      case NEW_ARCHIVE: {
        const [name = '', path = ''] = this.#header.toString('utf8').split('\0');
        this.beginArchive(name, path === '' ? null : path);
        break;
      }
      case MANIFEST:
        this.endArchive();
        this.inManifest = true;
        break;
      case PROGRESS:
        if (this.#header.length !== 8) throw nonsense('a progress message of a wrong length');
        this.sink.progress(Number(this.#header.readBigInt64BE(0)));
        break;
      default:
        throw nonsense(`a message of type 0x${this.#kind.toString(16)}`);
    }
  }
}

/** 13 and 14: one COPY per archive in the announced order, then one for the manifest. */
export class PlainBackupStream extends BackupStream {
  readonly #archives: readonly { name: string; path: string | null }[];
  #next = 0;
  #reported = 0;

  /** @param archives the announced ones, in order */
  constructor(sink: BaseBackupSink, archives: readonly { name: string; path: string | null }[]) {
    super(sink);
    this.#archives = archives;
  }

  copyBegins(): void {
    const archive = this.#archives[this.#next++];
    if (archive !== undefined) this.beginArchive(archive.name, archive.path);
    else if (this.inManifest) throw nonsense('more archives than it announced');
    else this.inManifest = true;
  }

  override copyEnds(): void {
    super.copyEnds();
    this.#report();
  }

  data(piece: Buffer): boolean {
    const keep = this.payload(piece);
    if (this.archiveBytes - this.#reported >= PROGRESS_STEP) this.#report();
    return keep;
  }

  #report(): void {
    if (this.archiveBytes === this.#reported) return;
    this.#reported = this.archiveBytes;
    this.sink.progress(this.archiveBytes);
  }
}

function nonsense(what: string): PgmonetaError {
  return new PgmonetaError('POSTGRES_PROTOCOL', `the server sent ${what} in a base backup`, {
    hint: 'check that host and port name PostgreSQL itself and that its version is one that pgmoneta knows (13 to 18)',
  });
}
