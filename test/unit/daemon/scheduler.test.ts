import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Log } from '../../../src/daemon/log.js';
import { type Chore, Scheduler } from '../../../src/daemon/scheduler.js';
import { PgmonetaError } from '../../../src/errors/index.js';

let lines: string[];
let log: Log;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  const write = (level: string) => (message: string) => lines.push(`${level} ${message}`);
  const nothing = (): void => {};
  log = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    reconfigure: nothing,
    close: nothing,
  } as unknown as Log;
});
afterEach(() => vi.useRealTimers());

/** A chore that writes down when it ran; `work` is what it does. */
function chore(seconds: () => number, work: (server: string) => Promise<void> = async () => {}) {
  const runs: { server: string; at: number }[] = [];
  const one: Chore = {
    name: 'expiry',
    interval: seconds,
    run: (server) => {
      runs.push({ server, at: performance.now() / 1000 });
      return work(server);
    },
  };
  return { one, runs };
}

const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1000);

describe('the scheduler', () => {
  it('runs a chore for each server, then again and again, never for all at once', async () => {
    const { one, runs } = chore(() => 300);
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a', 'b', 'c', 'd']);
    expect(runs).toEqual([]);
    await pass(149);
    expect(runs).toEqual([]);
    await pass(151);
    expect(runs.map(({ server }) => server).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(new Set(runs.map(({ at }) => at)).size).toBe(4);
    await pass(3600);
    const times = runs.filter(({ server }) => server === 'a').map(({ at }) => at);
    expect(times.length).toBeGreaterThanOrEqual(11);
    for (let n = 1; n < times.length; n++) {
      const gap = (times[n] ?? 0) - (times[n - 1] ?? 0);
      expect(gap).toBeGreaterThanOrEqual(270);
      expect(gap).toBeLessThanOrEqual(330);
    }
    scheduler.stop();
  });

  it('runs one at a time per server, and the next one its interval after the end', async () => {
    let running = 0;
    let most = 0;
    const { one, runs } = chore(
      () => 10,
      async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 100_000));
        running--;
      },
    );
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a']);
    await pass(1000);
    expect(most).toBe(1);
    expect(runs.length).toBeGreaterThanOrEqual(8);
    expect(runs.length).toBeLessThanOrEqual(10);
    scheduler.stop();
  });

  it('goes on after a failure, and says it', async () => {
    const { one, runs } = chore(
      () => 100,
      () => Promise.reject(new PgmonetaError('IO', 'the disk is gone', { hint: 'look for it' })),
    );
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a']);
    await pass(1000);
    expect(runs.length).toBeGreaterThanOrEqual(8);
    expect(lines[0]).toBe('error expiry of a failed: the disk is gone; look for it');
    scheduler.stop();
  });

  it('comes back soon when somebody was in the way', async () => {
    const { one, runs } = chore(
      () => 100_000,
      () => Promise.reject(new PgmonetaError('DELETE_BACKUP_ACTIVE', 'a backup runs', { retryable: true })),
    );
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a']);
    await pass(4200);
    expect(runs.length).toBeGreaterThanOrEqual(8);
    expect(lines.every((line) => line.startsWith('debug'))).toBe(true);
    scheduler.stop();
  });

  it('does nothing while a chore is switched off, and begins when it is switched on', async () => {
    let seconds = 0;
    const { one, runs } = chore(() => seconds);
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a']);
    await pass(1000);
    expect(runs).toEqual([]);
    seconds = 50;
    await pass(200);
    expect(runs.length).toBeGreaterThanOrEqual(2);
    scheduler.stop();
  });

  it('ends: nothing begins any more, what runs is told, its failure is no news', async () => {
    let told: AbortSignal | undefined;
    const one: Chore = {
      name: 'expiry',
      interval: () => 10,
      run: (_server, signal) => {
        told = signal;
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('cancelled'))),
        );
      },
    };
    const scheduler = new Scheduler([one], log);
    scheduler.start(['a', 'b']);
    await pass(20);
    scheduler.stop();
    await pass(1000);
    expect(told?.aborted).toBe(true);
    expect(lines).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
