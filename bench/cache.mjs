/** What the system keeps of files in memory. Linux only. */
import { execFileSync } from 'node:child_process';

/** Smaller files do not count. */
const LEAST = '64k';

/**
 * Takes the files of directories out of memory, as they are when they were not used for long. GNU dd tells the system to
 * forget a file; what is not on disk yet stays, so everything is synced first.
 * @param {string[]} directories
 */
export function evict(directories) {
  execFileSync('sync');
  const list = execFileSync('find', [...directories, '-type', 'f', '-size', `+${LEAST}`, '-print0']);
  const forget = ['sh', '-c', 'for file; do dd if="$file" iflag=nocache count=0 status=none || exit 255; done', 'sh'];
  execFileSync('xargs', ['--null', '--max-args=64', '--max-procs=2', ...forget], { input: list });
}
