/** What a piece of work costs: wall time, CPU seconds of all its processes, peak memory, bytes written. Linux only. */
import { readFileSync } from 'node:fs';
import { family } from '../test/support/processes.mjs';

/** Clock ticks per second in /proc; 100 on every Linux that Node runs on. */
const TICKS = 100;

/**
 * @typedef {object} Cost
 * @property {number} wall seconds
 * @property {number} cpu seconds of every process that did the work
 * @property {number} server CPU seconds of the PostgreSQL server
 * @property {number} memory bytes: the highest sum of peak resident sizes of processes that ran together
 * @property {number} written bytes handed to write calls, as last seen
 */

/** CPU seconds of a process and of its children that have ended. @param {number | 'self'} pid */
function cpuOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
    return { own: (user + system) / TICKS, children: (childUser + childSystem) / TICKS };
  } catch {
    return { own: 0, children: 0 };
  }
}

/** @param {number} pid */
const cpuWithChildren = (pid) => cpuOf(pid).own + cpuOf(pid).children;

/** A number of a /proc file, by its name. @param {number} pid @param {string} file @param {RegExp} pattern */
function procNumber(pid, file, pattern) {
  try {
    return Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Resident size of a process, in bytes. @param {number} pid */
export const residentSize = (pid) => procNumber(pid, 'status', /VmRSS:\s+(\d+)/) * 1024;

/** Looks at processes again and again while they live. */
class Watch {
  #peaks = new Map();
  #written = new Map();
  #highest = 0;
  #timer;

  /** @param {() => number[]} processes */
  constructor(processes) {
    this.#timer = setInterval(() => this.#look(processes()), 25);
  }

  /** @param {number[]} pids */
  #look(pids) {
    let together = 0;
    for (const pid of pids) {
      const peak = procNumber(pid, 'status', /VmHWM:\s+(\d+)/) * 1024;
      if (peak > 0) this.#peaks.set(pid, peak);
      together += this.#peaks.get(pid) ?? 0;
      const written = procNumber(pid, 'io', /wchar: (\d+)/);
      if (written > 0) this.#written.set(pid, written);
    }
    this.#highest = Math.max(this.#highest, together);
  }

  stop() {
    clearInterval(this.#timer);
    return { memory: this.#highest, written: [...this.#written.values()].reduce((sum, value) => sum + value, 0) };
  }
}

/**
 * Measures some work.
 * @param {object} options
 * @param {() => Promise<unknown>} options.work
 * @param {() => number[]} options.processes the processes that do it, while it runs
 * @param {number} [options.daemon] a process that does part of it, or whose children do, and that lives on
 * @param {number} [options.server] the postmaster
 * @param {(() => Promise<unknown>)} [options.settle] what has to end before CPU time is complete; not part of the wall time
 * @returns {Promise<Cost>}
 */
export async function measure({ work, processes, daemon, server, settle }) {
  const before = {
    self: cpuOf('self').children,
    daemon: daemon ? cpuWithChildren(daemon) : 0,
    server: server ? cpuWithChildren(server) : 0,
  };
  const watch = new Watch(processes);
  const start = performance.now();
  await work();
  const wall = (performance.now() - start) / 1000;
  await settle?.();
  const { memory, written } = watch.stop();
  const own = cpuOf('self').children - before.self;
  const inDaemon = daemon ? cpuWithChildren(daemon) - before.daemon : 0;
  return {
    wall,
    cpu: own + inDaemon,
    server: server ? cpuWithChildren(server) - before.server : 0,
    memory,
    written,
  };
}

/** The processes below one of ours. @param {() => number | undefined} pid */
export const below = (pid) => () => {
  const root = pid();
  return root === undefined ? [] : family(root);
};

/** The middle of several numbers. @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return (low + high) / 2;
}

/** The median of every part of several costs. @param {Cost[]} costs @returns {Cost} */
export function medianCost(costs) {
  const of = (/** @type {keyof Cost} */ key) => median(costs.map((cost) => cost[key]));
  return {
    wall: of('wall'),
    cpu: of('cpu'),
    server: of('server'),
    memory: Math.max(...costs.map(({ memory }) => memory)),
    written: of('written'),
  };
}
