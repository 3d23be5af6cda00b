import { describe, expect, it } from 'vitest';
import { progressText } from '../../../src/programs/pgmoneta-cli/progress.js';

const backup = {
  Done: 512 * 1024,
  Elapsed: 61,
  Percentage: 47,
  Phase: 'Base backup',
  Rate: 128 * 1024,
  Remaining: { string_value: '62s', value: 62 },
  Total: 1024 * 1024,
  Unit: 'bytes',
  Workflow: 'backup',
};

describe('progress for people', () => {
  it('is one line for each job', () => {
    const starting = {
      ...backup,
      Phase: '',
      Done: 0,
      Total: 0,
      Rate: 0,
      Percentage: 0,
      Elapsed: 0,
      Workflow: 'delete',
    };
    const idle = { ...starting, Remaining: { string_value: '0s', value: 0 } };
    expect(progressText('primary', [backup, idle], 200)).toBe(
      'backup of primary: 47% in 01:01, Base backup [##########..........] 50% 512.00kB/1.00MB 128.00kB/s 01:02 left\n' +
        'delete of primary: 0% in 00:00, starting 0.00B 0.00B/s\n',
    );
  });

  it('fits the terminal', () => {
    for (const line of progressText('primary', [backup], 60).trimEnd().split('\n')) {
      expect(line.length).toBeLessThan(60);
    }
  });

  it('says that nothing runs', () => {
    expect(progressText('primary', [], 80)).toBe('nothing runs for primary\n');
  });
});
