import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { range } from './wal/build.js';

/** Time for making hundreds of thousands of names on a busy disk, and for taking them away, in milliseconds. */
export const LAYING_OUT = 240_000;

/** Lays out whole, empty segments of 1 MiB on timeline 1, from segment 1 on. */
export function fillWithSegments(directory: string, count: number): void {
  for (const file of range(1, 1, count, '.zstd')) closeSync(openSync(join(directory, file), 'w'));
}

/** Processor time of this thread in milliseconds: other processes and threads do not count, however busy they are. */
function threadTime(): number {
  if (process.platform === 'linux')
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;
  return performance.eventLoopUtilization().active;
}

/** Runs some work; tells how many milliseconds of processor time this thread spent on it: its loop was not held longer. */
export async function cpuOfThread<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = threadTime();
  const result = await work();
  return [result, threadTime() - before];
}
