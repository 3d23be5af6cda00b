import { defineConfig } from 'vitest/config';

/**
 * Four kinds of tests. Unit tests run side by side; the others start real servers and daemons, and two cores are
 * kept busy by two files at a time.
 */
const heavy = { testTimeout: 300_000, hookTimeout: 300_000, pool: 'forks' as const, maxWorkers: 2 };

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000, pool: 'forks' } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: 'test/support/global-setup.mjs',
          ...heavy,
        },
      },
      {
        test: {
          name: 'compat',
          include: ['test/compat/**/*.test.ts'],
          globalSetup: 'test/support/global-setup.mjs',
          ...heavy,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: 'test/support/global-setup.mjs',
          ...heavy,
        },
      },
    ],
  },
});
