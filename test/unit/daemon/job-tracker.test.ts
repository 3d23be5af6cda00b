import { describe, expect, it } from 'vitest';
import { JobTracker } from '../../../src/daemon/job-tracker.js';
import type { Log } from '../../../src/daemon/log.js';
import { ProgressLog } from '../../../src/daemon/progress-log.js';

const MIB = 1024 * 1024;
const bytes = (phase: string, done: number, total: number) => ({ phase, done, total, unit: 'bytes' }) as const;

describe('the tracker of a job', () => {
  it('knows nothing before the job has told anything, but how long it runs', () => {
    let now = 1000;
    const tracker = new JobTracker(7, 'delete', () => now);
    now = 3500;
    const nothing = { phase: '', done: 0, total: 0, rate: 0, percentage: 0, remaining: undefined };
    expect(tracker.read()).toEqual({ ...nothing, id: 7, verb: 'delete', unit: 'bytes', elapsed: 2.5 });
  });

  it('measures the rate over the last ten seconds, and what remains by it', () => {
    let now = 0;
    const tracker = new JobTracker(1, 'verify', () => now);
    for (let second = 0; second <= 40; second++) {
      now = second * 1000;
      // Fast at first, slow since the 20th second.
      const done = second <= 20 ? second * 10 : 200 + (second - 20);
      tracker.update(bytes('Verify backup', done * MIB, 400 * MIB));
    }
    const { rate, remaining, percentage, elapsed } = tracker.read();
    expect(rate).toBeCloseTo(MIB, 0);
    expect(remaining).toBeCloseTo(180, 0);
    expect([percentage, elapsed]).toEqual([55, 40]);
  });

  it('measures each phase on its own', () => {
    let now = 0;
    const tracker = new JobTracker(1, 'backup', () => now);
    tracker.update(bytes('Base backup', 0, 100));
    now = 50;
    expect(tracker.update(bytes('Base backup', 50, 100))).toMatchObject({ rate: 1000, remaining: 0.05 });
    expect(tracker.update(bytes('Manifest', 1, 0)).rate).toBe(0);
  });

  it('lets the rate fall while the job says nothing', () => {
    let now = 0;
    const tracker = new JobTracker(1, 'verify', () => now);
    tracker.update(bytes('Verify backup', 0, 100));
    now = 1000;
    expect(tracker.update(bytes('Verify backup', 10, 100)).rate).toBe(10);
    now = 10_000;
    expect(tracker.read()).toMatchObject({ rate: 1, remaining: 90 });
  });

  it('gives every phase its share of the whole, never goes back, and never says 100', () => {
    const tracker = new JobTracker(1, 'backup', () => 0);
    expect(tracker.update(bytes('Base backup', 50, 100)).percentage).toBe(47);
    expect(tracker.update(bytes('Base backup', 50, 200)).percentage).toBe(47); // it grew meanwhile
    expect(tracker.update(bytes('Base backup', 100, 100)).percentage).toBe(95);
    expect(tracker.update(bytes('Manifest', 0, 0)).percentage).toBe(95);
    expect(tracker.update(bytes('Publish', 0, 0)).percentage).toBe(97);
    expect(tracker.update(bytes('Publish', 1, 1)).percentage).toBe(99);
    const restore = new JobTracker(2, 'restore', () => 0);
    expect(restore.update(bytes('Restore backup', 1, 2)).percentage).toBe(50);
    expect(restore.update(bytes('Copy WAL', 1, 2)).percentage).toBe(95);
  });

  it('reckons with the time that has passed where nothing can be counted', () => {
    let now = 0;
    const tracker = new JobTracker(1, 'backup', () => now);
    tracker.update(bytes('Base backup', 100, 100));
    now = 95_000;
    expect(tracker.update(bytes('Manifest', 0, 0)).remaining).toBeCloseTo(5, 6);
  });
});

describe('progress in the log', () => {
  it('is written of at every phase, and once a minute', () => {
    let now = 0;
    const lines: string[] = [];
    const log = { info: (line: string) => lines.push(line) } as unknown as Log;
    const tracker = new JobTracker(3, 'backup', () => now);
    const written = new ProgressLog(log, 'backup of primary', () => now);
    for (; now <= 130_000; now += 100) written.report(tracker.update(bytes('Base backup', now, 260_000)));
    written.report(tracker.update(bytes('Manifest', 0, 0)));
    expect(lines).toEqual([
      'backup of primary: Base backup, 0%',
      'backup of primary: Base backup, 21%',
      'backup of primary: Base backup, 43%',
      'backup of primary: Manifest, 95%',
    ]);
  });
});
