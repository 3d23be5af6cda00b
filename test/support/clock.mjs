/** Clocks that tests set forth and back: of a daemon, of a server, never of the machine. */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { give, temporaryDirectory } from './runtime.mjs';

const SOURCE = fileURLToPath(new URL('clock-shim.c', import.meta.url));
/** Bytes of the text with the offset: always all of them, so that none is read half-written. */
const WIDTH = 31;

export class Clock {
  /** @param {string} library @param {string} file */
  constructor(library, file) {
    this.library = library;
    this.file = file;
  }

  /** Compiles what sets the clock. */
  static make() {
    const directory = temporaryDirectory('clock');
    const library = path.join(directory, 'clock.so');
    const source = path.join(directory, 'clock.c');
    copyFileSync(SOURCE, source);
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source], { stdio: 'pipe' });
    const file = path.join(directory, 'offset');
    writeFileSync(file, '0'.padStart(WIDTH), { mode: 0o644 });
    chmodSync(library, 0o755);
    for (const made of [library, file]) give(made);
    return new Clock(library, file);
  }

  /** What a process with this clock finds in its environment. */
  get environment() {
    return { LD_PRELOAD: this.library, CLOCK_SHIM_FILE: this.file };
  }

  /** Sets the clock. @param {number} hours from the time of the machine */
  set(hours) {
    const file = openSync(this.file, 'r+');
    try {
      writeSync(file, String(Math.round(hours * 3600)).padStart(WIDTH), 0);
    } finally {
      closeSync(file);
    }
  }
}
