import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { serverPaths } from '../../../src/repository/paths.js';
import { settleRollUps } from '../../../src/repository/roll-ups.js';
import { temporaryDirectory } from '../temporary.js';

const LABEL = '20260101000000';

/** What an exchange of three renames leaves: in `.roll-up/` and in `backup/`, each with what it is. */
it.each([
  ['nothing was exchanged', { [LABEL]: 'new' }, 'old', 'old'],
  ['the new one is aside', { [`${LABEL}.exchange`]: 'new' }, 'old', 'old'],
  ['the old one has left too', { [`${LABEL}.exchange`]: 'new', [LABEL]: 'old' }, undefined, 'old'],
  ['only the new one is left', { [`${LABEL}.exchange`]: 'new' }, undefined, 'new'],
  ['all was exchanged', { [LABEL]: 'old' }, 'new', 'new'],
] as const)('a roll-up that was cut off when %s leaves the backup its name', async (_when, work, named, expected) => {
  const paths = serverPaths(temporaryDirectory(), 'primary');
  const make = (directory: string, what: string): void => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, 'what'), what);
  };
  mkdirSync(paths.backups, { recursive: true });
  for (const [name, what] of Object.entries(work)) make(path.join(paths.rollUps, name), what);
  if (named !== undefined) make(path.join(paths.backups, LABEL), named);
  await settleRollUps(paths);
  expect(readFileSync(path.join(paths.backups, LABEL, 'what'), 'utf8')).toBe(expected);
  expect(existsSync(paths.rollUps) ? readdirSync(paths.rollUps) : []).toEqual([]);
});
