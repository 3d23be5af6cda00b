import { PgmonetaError } from '../errors/index.js';
import type { BackupReceiver } from '../native/receiver.js';
import type { BaseBackupSink, BaseBackupStart, Tablespace } from '../postgres/index.js';
import { tablespaceDirectory } from './tablespace-name.js';

/** What a sink works with. */
export interface ReceiverSinkOptions {
  readonly receiver: BackupReceiver;
  readonly tablespaces: readonly Tablespace[];
  /** Called with the bytes that the server announces, before the first of them comes. */
  readonly checkSpace: (announced: number) => Promise<void>;
  readonly onProgress: (phase: string, done: number, total: number) => void;
  /** The server announces whole files, and sends changed blocks: how much will come is not known. */
  readonly incremental: boolean;
}

/** Hands the stream of BASE_BACKUP to the receiver, and knows how far it is. */
export class ReceiverSink implements BaseBackupSink {
  readonly #receiver: BackupReceiver;
  readonly #tablespaces: readonly Tablespace[];
  readonly #checkSpace: (announced: number) => Promise<void>;
  readonly #onProgress: (phase: string, done: number, total: number) => void;
  readonly #incremental: boolean;
  #total = 0;
  #done = 0;
  #reported = 0;
  #started: BaseBackupStart | undefined;

  constructor({ receiver, tablespaces, checkSpace, onProgress, incremental }: ReceiverSinkOptions) {
    this.#receiver = receiver;
    this.#tablespaces = tablespaces;
    this.#checkSpace = checkSpace;
    this.#onProgress = onProgress;
    this.#incremental = incremental;
  }

  /** What the server said at the start; undefined before. */
  get started(): BaseBackupStart | undefined {
    return this.#started;
  }

  async start(start: BaseBackupStart): Promise<void> {
    this.#started = start;
    const announced = start.tablespaces.reduce((sum, tablespace) => sum + (tablespace.sizeKb ?? 0) * 1024, 0);
    if (!this.#incremental) this.#total = announced;
    this.#report();
    await this.#checkSpace(announced);
  }

  beginArchive(_name: string, tablespacePath: string | null): void {
    if (tablespacePath === null || tablespacePath === '') {
      this.#receiver.beginArchive(null);
      return;
    }
    const tablespace = this.#tablespaces.find(({ location }) => location === tablespacePath);
    if (tablespace === undefined) {
      throw new PgmonetaError(
        'BACKUP_EXECUTE',
        `the server sends a tablespace in ${tablespacePath} that it did not have a moment ago`,
        {
          hint: 'a tablespace was created while the backup started; take the backup again',
          retryable: true,
        },
      );
    }
    const name = tablespaceDirectory(tablespace.name).slice('tblspc_'.length);
    this.#receiver.beginArchive({ oid: String(tablespace.oid), name });
  }

  data(chunk: Buffer): boolean {
    this.#done += chunk.length;
    // The clock is not asked for every chunk: a progress line per 8 MiB is plenty.
    if (this.#done - this.#reported >= 8 * 1024 * 1024) this.#report();
    return this.#receiver.push(chunk);
  }

  drained(): Promise<void> {
    return this.#receiver.drained();
  }

  endArchive(): void {
    this.#receiver.endArchive();
  }

  manifest(chunk: Buffer): void {
    this.#receiver.pushManifest(chunk);
  }

  progress(bytesDone: number): void {
    // Of a stream that the server compresses, only the server knows how much of the plain data it stands for.
    this.#done = Math.max(this.#done, bytesDone);
  }

  #report(): void {
    this.#reported = this.#done;
    this.#onProgress('Base backup', this.#done, this.#incremental ? 0 : Math.max(this.#total, this.#done));
  }
}
