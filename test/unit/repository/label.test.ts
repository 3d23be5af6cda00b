import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isBackupLabel, labelOf, reserveLabel } from '../../../src/repository/label.js';
import { serverPaths } from '../../../src/repository/paths.js';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'pgmoneta-label-'));
});
afterEach(() => rm(base, { recursive: true }));

describe('labels', () => {
  it('are local time', () => {
    expect(labelOf(new Date(2026, 0, 2, 3, 4, 5))).toBe('20260102030405');
  });

  it('are fourteen digits and nothing else', () => {
    expect(isBackupLabel('20260102030405')).toBe(true);
    for (const text of ['2026010203040', '../../../../etc', '20260102030405/..', '20260102030405\n']) {
      expect(isBackupLabel(text)).toBe(false);
    }
  });

  it('are given once, also within one second', async () => {
    const paths = serverPaths(base, 'primary');
    const reserved = await Promise.all([1, 2, 3].map(() => reserveLabel(paths, undefined)));
    expect(new Set(reserved.map(({ label }) => label)).size).toBe(3);
  });

  it('do not repeat one that is in the catalogue', async () => {
    const paths = serverPaths(base, 'primary');
    const now = labelOf(new Date());
    await mkdir(join(paths.backups, now), { recursive: true });
    expect((await reserveLabel(paths, now)).label > now).toBe(true);
  });

  it('are refused when the clock went back behind the newest backup', async () => {
    await expect(reserveLabel(serverPaths(base, 'primary'), '29991231235959', 1)).rejects.toThrow(
      /newest backup is 29991231235959/,
    );
  });
});
