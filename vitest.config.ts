import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{src,tools,bench,chaos}/**/*.test.ts', 'test/{sim,scenarios}/**/*.test.ts', 'test/tutorial/support/*.test.ts'],
          setupFiles: ['test/support/property-seed.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          pool: 'forks',
        },
      },
      { test: { name: 'tutorial', include: ['test/tutorial/*.test.ts'], pool: 'forks' } },
    ],
  },
});
