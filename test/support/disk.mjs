/** Small file systems for tests, and how they get full. */
import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, statSync } from 'node:fs';
import path from 'node:path';
import { identity, makeDirectory } from './runtime.mjs';

/** Whether file systems can be mounted here: it takes root, and not every container lets it. */
export function canMount() {
  if (process.getuid?.() !== 0) return false;
  const probe = makeDirectory('/tmp/pgm-mount-probe');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/**
 * Mounts a file system for the user of servers and daemons.
 * @param {string} directory @param {number} megabytes
 * @returns {() => void} takes it away, whoever still uses it
 */
export function mount(directory, megabytes) {
  makeDirectory(directory);
  const { uid, gid } = identity() ?? { uid: 0, gid: 0 };
  const options = `size=${megabytes}m,uid=${uid},gid=${gid},mode=0700`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  return () => {
    execFileSync('umount', ['-l', directory]);
  };
}

/** Takes all that a file system has left, faster than anybody else can write. @param {string} file */
export function takeAll(file) {
  for (;;) {
    const { bavail, bsize } = statfsSync(path.dirname(file));
    if (bavail === 0) return;
    const length = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) + bavail * bsize;
    try {
      execFileSync('fallocate', ['--length', String(length), file], { stdio: 'ignore' });
    } catch {
      // Somebody else has taken some of it meanwhile.
    }
  }
}
