/** The part of tar-stream that is used here; it comes without types. */
declare module 'tar-stream' {
  import type { Readable, Writable } from 'node:stream';

  export interface Header {
    name: string;
    type: 'file' | 'directory' | 'symlink';
    mode: number;
    uid: number;
    gid: number;
    mtime: Date;
    size?: number;
    linkname?: string;
  }

  export interface Pack extends Readable {
    entry(header: Header, done: (error?: Error | null) => void): Writable;
    finalize(): void;
  }

  export function pack(): Pack;
}
