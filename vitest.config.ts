import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Many tests start processes of ours: compiled once, and stripped of types, they start in half the time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('./node_modules/.cache/compiled', import.meta.url));

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts'],
          // They run beside the system's: what hangs is found, and what is slow is not called wrong.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Each of these starts a cluster of processes: one file at a time, or they starve one another.
          fileParallelism: false,
        },
      },
    ],
  },
});
