import { describe, expect, it } from 'vitest';
import { ProgressBar, progressLine } from '../../../src/programs/pgmoneta-cli/progress-bar.js';

const report = {
  phase: 'copying data',
  done: 512 * 1024,
  total: 1024 * 1024,
  unit: 'bytes',
  rate: 128 * 1024,
  elapsed: 4,
  remaining: 3700,
};

describe('the progress line', () => {
  it('has share, amounts, rate and what remains', () => {
    expect(progressLine(report, 120)).toBe(
      'copying data [##########..........] 50% 512.00kB/1.00MB 128.00kB/s 01:01:40 left',
    );
  });

  it('does without a total', () => {
    const unknown = { phase: 'starting', done: 3, total: 0, unit: 'files', rate: undefined, remaining: undefined };
    expect(progressLine(unknown, 80)).toBe('starting 3');
    expect(progressLine({ ...unknown, total: 4 }, 80)).toContain('3/4 files');
  });

  it.each([1, 10, 40, 60, 79])('never reaches the edge of a terminal of %i columns', (columns) => {
    expect(progressLine(report, columns).length).toBeLessThan(columns);
  });

  it('gives up the bar first', () => {
    expect(progressLine(report, 60)).toBe('copying data 50% 512.00kB/1.00MB 128.00kB/s 01:01:40 left');
  });

  it('never shows more than all', () => {
    expect(progressLine({ ...report, done: 2 ** 30 }, 120)).toContain('100%');
  });
});

describe('the progress bar', () => {
  it('is drawn at most five times a second, and taken away', () => {
    const written: string[] = [];
    let now = 0;
    const bar = new ProgressBar({ columns: 0, write: (text) => written.push(text) }, () => now);
    bar.clear();
    expect(written).toEqual([]);
    for (; now < 1000; now += 10) bar.update(report);
    expect(written).toHaveLength(5);
    bar.clear();
    bar.clear();
    expect(written.slice(5)).toEqual(['\r\x1b[K']);
  });
});
