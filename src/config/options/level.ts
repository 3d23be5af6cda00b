import type { MainSettings } from './index.js';

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  gzip: [1, 9],
  zstd: [-131072, 22],
  lz4: [1, 12],
  bzip2: [1, 9],
};

/** The level nearest to the wanted one that a compression of the table has. */
export function nearestLevel(compression: MainSettings['compression'], level: number): number {
  const range = RANGES[compression.replace(/^(client|server)-/, '')];
  return range === undefined ? level : Math.min(Math.max(level, range[0]), range[1]);
}
