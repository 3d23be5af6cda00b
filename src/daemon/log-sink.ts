import { closeSync, fstatSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { writeSyslog } from '../native/system.js';
import { strftime } from './log-format.js';

/** Where finished lines go. */
export interface LogSink {
  /** @param level pino's number: 30 info, 40 warn, 50 error */
  write(line: string, level: number): void;
  close(): void;
}

/** Standard error: the service manager keeps it, and standard output stays free. */
export function consoleSink(): LogSink {
  return {
    write: (line) => {
      try {
        writeSync(2, line);
      } catch {
        // Nobody reads standard error any more; a daemon does not die of that.
      }
    },
    close: () => {},
  };
}

/** syslog, facility daemon. */
export function syslogSink(): LogSink {
  return {
    write: (line, level) => writeSyslog(level >= 50 ? 3 : level >= 40 ? 4 : level >= 30 ? 6 : 7, line.trimEnd()),
    close: () => {},
  };
}

/** What a log file obeys. */
export interface FileSinkOptions {
  /** strftime pattern. */
  readonly path: string;
  readonly mode: 'append' | 'create';
  /** Bytes; 0 = no rotation by size. */
  readonly rotationSize: number;
  /** Seconds; 0 = no rotation by age. */
  readonly rotationAge: number;
}

/** A file of mode 0600, rotated by size or age: the old one keeps its name with the time of rotation added. */
export class FileSink implements LogSink {
  readonly #options: FileSinkOptions;
  #path = '';
  #fd = -1;
  #size = 0;
  #opened = 0;

  constructor(options: FileSinkOptions) {
    this.#options = options;
    this.#open(options.mode === 'create');
  }

  #open(truncate: boolean): void {
    this.#path = strftime(this.#options.path, new Date());
    this.#fd = openSync(this.#path, truncate ? 'w' : 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
    this.#opened = performance.now();
  }

  write(line: string): void {
    try {
      this.#rotateWhenDue();
      this.#size += writeSync(this.#fd, line);
    } catch {
      // A full disk must not stop backups; the line goes where the service manager may still see it.
      consoleSink().write(line, 30);
    }
  }

  #rotateWhenDue(): void {
    const { rotationSize, rotationAge } = this.#options;
    const tooBig = rotationSize > 0 && this.#size >= rotationSize;
    const tooOld = rotationAge > 0 && performance.now() - this.#opened >= rotationAge * 1000;
    if (!tooBig && !tooOld) return;
    closeSync(this.#fd);
    if (strftime(this.#options.path, new Date()) === this.#path) renameSync(this.#path, this.#rotatedName());
    this.#open(false);
  }

  #rotatedName(): string {
    const base = `${this.#path}.${strftime('%Y%m%d%H%M%S', new Date())}`;
    for (let number = 0; ; number++) {
      const name = number === 0 ? base : `${base}.${number}`;
      if (statSync(name, { throwIfNoEntry: false }) === undefined) return name;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
