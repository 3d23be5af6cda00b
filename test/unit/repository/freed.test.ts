import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { FreedSpace } from '../../../src/repository/freed.js';
import { temporaryDirectory } from '../temporary.js';

let base: string;

/** Bytes on disk, as du counts them: a file with several links once. */
const du = (): number => Number.parseInt(execFileSync('du', ['-s', '-B1', base], { encoding: 'utf8' }), 10);

beforeEach(() => {
  base = temporaryDirectory();
  for (const name of ['1', '2', '3']) mkdirSync(join(base, name, 'data', 'base'), { recursive: true });
  writeFileSync(join(base, '1/data/base/own'), Buffer.alloc(100_000, 1));
  writeFileSync(join(base, '1/data/base/shared'), Buffer.alloc(300_000, 1));
  linkSync(join(base, '1/data/base/shared'), join(base, '2/data/base/shared'));
  linkSync(join(base, '1/data/base/shared'), join(base, '3/data/base/shared'));
  writeFileSync(join(base, '2/data/base/own'), Buffer.alloc(200_000, 1));
  writeFileSync(join(base, '2/data/twice'), Buffer.alloc(50_000, 1));
  linkSync(join(base, '2/data/twice'), join(base, '2/data/base/again'));
  symlinkSync(join(base, '3/data/base/shared'), join(base, '2/data/link'));
});

it.each([[['1']], [['2']], [['1', '2']], [['2', '1']], [['3', '2', '1']], [['1', '3', '2']]])(
  'tells for %j what the disk gets back',
  async (order) => {
    const space = new FreedSpace();
    const told: number[] = [];
    for (const name of order) told.push(await space.add(join(base, name)));
    for (const [n, name] of order.entries()) {
      const before = du();
      rmSync(join(base, name), { recursive: true });
      expect(before - du(), name).toBe(told[n]);
    }
  },
);

it('a shared file gives back nothing before its last link', async () => {
  const space = new FreedSpace();
  expect(await space.add(join(base, '3'))).toBeLessThan(100_000);
  expect(await space.add(join(base, '1'))).toBeLessThan(200_000);
  expect(await space.add(join(base, '2'))).toBeGreaterThan(550_000);
});
