import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Unit of `st_blocks`, whatever the file system. */
const BLOCK = 512;
/** Files that are looked at at the same time. */
const WIDTH = 64;

/**
 * Tells what the removal of backups gives back. A file with links in backups that stay gives back nothing; one whose
 * links all go gives back its space with the last of them. So backups have to be named in the order in which they go.
 */
export class FreedSpace {
  /** By device and inode: links that have been counted of files that have more. */
  readonly #partly = new Map<number, Map<number, number>>();

  /**
   * Adds the next backup that goes.
   * @returns bytes on disk that its removal gives back, after that of those before it
   * @throws the error of the system, when it cannot be read
   */
  async add(directory: string): Promise<number> {
    let freed = 0;
    const pending = [directory];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const entries = await readdir(next, { withFileTypes: true });
      const others: string[] = [];
      for (const entry of entries) {
        const path = join(next, entry.name);
        if (entry.isDirectory()) pending.push(path);
        else others.push(path);
      }
      for (let from = 0; from < others.length; from += WIDTH) {
        const sizes = await Promise.all(others.slice(from, from + WIDTH).map((path) => this.#ofFile(path)));
        freed += sizes.reduce((sum, size) => sum + size, 0);
      }
      freed += (await lstat(next)).blocks * BLOCK;
    }
    return freed;
  }

  async #ofFile(path: string): Promise<number> {
    const { dev, ino, nlink, blocks } = await lstat(path);
    if (nlink > 1 && !this.#isLast(dev, ino, nlink)) return 0;
    return blocks * BLOCK;
  }

  #isLast(device: number, inode: number, links: number): boolean {
    const counted = this.#partly.get(device) ?? new Map<number, number>();
    this.#partly.set(device, counted);
    const count = (counted.get(inode) ?? 0) + 1;
    if (count < links) {
      counted.set(inode, count);
      return false;
    }
    counted.delete(inode);
    return true;
  }
}
