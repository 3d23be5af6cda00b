import type { BaseBackupSink, BaseBackupStart } from '../../src/postgres/index.js';

const BLOCK = 512;

/** Reads a tar stream no further than names, types and sizes. */
class TarCounter {
  readonly files = new Map<string, number>();
  readonly links = new Map<string, string>();
  bytes = 0;
  #header = Buffer.alloc(0);
  #skip = 0;

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const end = Math.min(chunk.length, at + BLOCK - this.#header.length);
      this.#header = Buffer.concat([this.#header, chunk.subarray(at, end)]);
      at = end;
      if (this.#header.length === BLOCK) this.#member(this.#header);
    }
  }

  /** Whether the stream ended at the border of a member. */
  get complete(): boolean {
    return this.#skip === 0 && this.#header.length === 0;
  }

  #member(header: Buffer): void {
    this.#header = Buffer.alloc(0);
    const text = (from: number, to: number): string => header.toString('utf8', from, to).split('\0')[0] ?? '';
    const name = [text(345, 500), text(0, 100)].filter(Boolean).join('/');
    if (name === '') return; // the zero blocks at the end
    const size = Number.parseInt(text(124, 136).trim() || '0', 8);
    this.#skip = Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156] as number);
    if (type === '0' || type === '\0') this.files.set(name, size);
    // PostgreSQL ends the names of links to directories with a slash.
    if (type === '2') this.links.set(name.replace(/\/$/, ''), text(157, 257));
  }
}

/** Counts what comes and checks the order of the calls. */
export class CountingSink implements BaseBackupSink {
  started: BaseBackupStart | undefined;
  readonly archives = new Map<string, { path: string | null; tar: TarCounter }>();
  readonly progressed: number[] = [];
  manifestText = '';
  bytes = 0;
  ended = 0;
  /** Called for every chunk; what it returns goes back to the reader. */
  onData: (chunk: Buffer) => boolean = () => true;
  onDrained: () => Promise<void> = async () => {};
  #current: TarCounter | undefined;
  readonly #parse: boolean;

  /** @param parse false for archives that are compressed */
  constructor(parse = true) {
    this.#parse = parse;
  }

  start(start: BaseBackupStart): void | Promise<void> {
    if (this.started !== undefined) throw new Error('started twice');
    this.started = start;
  }

  beginArchive(name: string, path: string | null): void {
    if (this.#current !== undefined) throw new Error(`${name} begins within an archive`);
    this.#current = new TarCounter();
    this.archives.set(name, { path, tar: this.#current });
  }

  data(chunk: Buffer): boolean {
    if (this.#current === undefined) throw new Error('data outside of an archive');
    this.bytes += chunk.length;
    if (this.#parse) this.#current.push(chunk);
    return this.onData(chunk);
  }

  drained(): Promise<void> {
    return this.onDrained();
  }

  endArchive(): void {
    if (this.#current === undefined) throw new Error('an archive ends twice');
    this.#current = undefined;
    this.ended++;
  }

  manifest(chunk: Buffer): boolean {
    if (this.#current !== undefined) throw new Error('manifest within an archive');
    this.manifestText += chunk.toString('latin1');
    return true;
  }

  progress(bytesDone: number): void {
    this.progressed.push(bytesDone);
  }

  /** Every file that the manifest names, with its size in the manifest and in the archives. */
  compare(): { path: string; listed: number; received: number | undefined }[] {
    const manifest = JSON.parse(this.manifestText) as { Files: { Path: string; Size: number }[] };
    return manifest.Files.map(({ Path, Size }) => ({ path: Path, listed: Size, received: this.#received(Path) }));
  }

  #received(path: string): number | undefined {
    const parts = /^pg_tblspc\/([0-9]+)\/(.*)$/.exec(path);
    if (parts === null) return this.archives.get('base.tar')?.tar.files.get(path);
    return this.archives.get(`${parts[1]}.tar`)?.tar.files.get(parts[2] as string);
  }
}
