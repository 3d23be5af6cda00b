/** Processes of tests: what is alive, whose children, how much they used. Linux' /proc, with `ps` elsewhere. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Whether a process exists (a zombie counts as gone). @param {number} pid */
export function alive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
  if (!existsSync('/proc/self/stat')) return true;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Process ids of the direct children. @param {number} pid @returns {number[]} */
export function children(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    if (existsSync('/proc/self/stat')) return [];
  }
  const output = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child = 0]) => child);
}

/** The process and everything below it. @param {number} pid @returns {number[]} */
export function family(pid) {
  return [pid, ...children(pid).flatMap(family)];
}

/** Sends a signal; a process that is gone is fine. @param {number | undefined} pid @param {NodeJS.Signals} signal */
export function signal(pid, signal) {
  if (pid === undefined) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Waits until `condition` gives a value, asking again every few milliseconds.
 * @template T
 * @param {string} what for the message when time runs out
 * @param {() => T | Promise<T>} condition
 * @param {{timeout?: number, interval?: number}} [options] milliseconds
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, condition, options = {}) {
  const { timeout = 30_000, interval = 20 } = options;
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return /** @type {NonNullable<T>} */ (value);
    if (performance.now() > deadline) throw new Error(`waited ${timeout / 1000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}
