import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/processes.mjs';
import { Scene } from '../support/scene.mjs';

/** What `progress` answers, with the keys of pgmoneta 0.21 and ours. */
interface Progress {
  readonly Done: number;
  readonly Elapsed: number;
  readonly Percentage: number;
  readonly Phase: string;
  readonly ProgressState: number;
  readonly Rate: number;
  readonly Remaining: { readonly string_value: string; readonly value: number };
  readonly Total: number;
  readonly Unit: string;
  readonly Workflow: string;
  readonly Jobs: Record<string, unknown> | Progress[];
}

let scene: Scene;
beforeAll(async () => {
  // At this rate a backup takes long enough to be looked at.
  scene = await Scene.open(17, { workload: { rows: 2000 }, settings: { progress: 'on', max_rate: '8MB' } });
});
afterAll(() => scene?.close());

const progress = (...args: string[]): Promise<Progress> => scene.pgmoneta.must('progress', 'primary', ...args);

describe('progress', () => {
  test('says that nothing runs, and that is no failure', async () => {
    const idle = { Done: 0, Elapsed: 0, Percentage: 0, ProgressState: 0, Total: 0, Server: 'primary', Jobs: {} };
    expect(await progress()).toMatchObject({ ...idle, Remaining: { string_value: '0s', value: 0 } });
    const { exit, stdout } = await scene.pgmoneta.cli('progress', 'primary', 'backup');
    expect([exit, stdout]).toEqual([0, 'nothing runs for primary\n']);
  });

  test('of a backup grows, with rate and what remains, and ends with it', async () => {
    const job = scene.pgmoneta.launch('pgmoneta-cli', ['-c', scene.pgmoneta.configuration, 'backup', 'primary']);
    let seen: Progress | undefined;
    await until('the backup being under way', async () => {
      seen = await progress('backup');
      return seen.Phase === 'Base backup' && seen.Percentage > 10 && seen.Rate > 0;
    });
    expect(seen).toMatchObject({ ProgressState: 1, Workflow: 'backup', Unit: 'bytes' });
    const { Done = 0, Total = 0, Remaining, Jobs } = seen as Progress;
    expect(Total).toBeGreaterThan(20e6);
    expect(Done).toBeLessThanOrEqual(Total);
    expect(Remaining.string_value).toBe(`${Remaining.value}s`);
    expect(Remaining.value).toBeGreaterThan(0);
    expect(Jobs).toHaveLength(1);
    const { stdout } = await scene.pgmoneta.cli('progress', 'primary');
    expect(stdout).toMatch(/^backup of primary: \d+% in 00:\d\d, Base backup \[[#.]{20}\] \d+% .*\/s.* left\n$/);
    await until('the backup going on', async () => {
      const later = await progress();
      return later.Percentage > (seen?.Percentage ?? 0) && later.Elapsed >= (seen?.Elapsed ?? 0);
    });
    expect((await job.result).exit).toBe(0);
    expect((await progress()).ProgressState).toBe(0);
  });

  test('is written to the log when the setting is on', () => {
    const text = readFileSync(scene.pgmoneta.log, 'utf8');
    expect(text).toMatch(/backup of primary: Base backup, \d+%/);
    expect(text).toMatch(/backup of primary: Publish, \d+%/);
  });

  test('of a server that is not configured is refused with 3000', async () => {
    const { exit, document } = await scene.pgmoneta.json('progress', 'nobody');
    expect(exit).toBe(3);
    expect(document.Outcome.Error).toBe(3000);
  });
});
