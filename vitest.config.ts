import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

// Many tests start processes of ours: compiled once, and stripped of types, they start in half the time.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('./node_modules/.cache/compiled', import.meta.url));

/** Of the tests of the system those that measure no time and lose no process: they come beside the others. */
const unhurried = [
  'backup',
  'beyond-classes',
  'browser',
  'bull-board',
  'containers',
  'docs',
  'earlier-state',
  'embedded-redis',
  'examples',
  'fuzz/extremes',
  'fuzz/fuzz',
  'fuzz/network',
  'guide',
  'job-values',
  'json',
  'learn',
  'memory',
  'needs',
  'node-versions',
  'own-data',
  'practice',
  'python',
  'python-client',
  'readers',
  'shipped',
  'tensorboard',
].map((name) => `test/${name}.test.ts`);

/** Tests of units that change what a process has one of, measure its memory, or compute on a GPU: each file has a process of its own. */
const alone = [
  'cli/test/**/*',
  'coordinator/test/state-errors',
  'tensor/test/accuracy-of-sums',
  'tensor/test/backends',
  'tensor/test/huge-file',
  'tensor/test/opinfo',
  'tensor/test/refusals',
  'tensor/test/wasm-session',
  'tensor/test/webgpu',
  'tensor/test/webgpu-training',
  'worker/test/gpu-slot',
  'worker/test/profile',
].map((name) => `packages/${name}.test.ts`);

// What hangs is found, and what is slow on a busy machine is not called wrong.
const patience = { expect: { poll: { timeout: 30_000 } }, testTimeout: 600_000, hookTimeout: 600_000 };

export default defineConfig({
  test: {
    coverage: {
      include: ['packages/*/src/**'],
      exclude: ['**/gen/**'],
      reportOnFailure: true,
      reporter: ['text-summary', ['json-summary', { file: 'summary.json' }], 'html'],
    },
    projects: [
      {
        test: {
          ...patience,
          name: 'unit',
          include: alone,
          testTimeout: 180_000,
        },
      },
      {
        test: {
          ...patience,
          name: 'plain-unit',
          include: ['packages/*/test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...alone],
          // With a process each these load the same modules a hundred times, which takes longer than most of the tests.
          isolate: false,
          testTimeout: 180_000,
        },
      },
      {
        test: {
          ...patience,
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...unhurried],
          // Each of these starts a cluster of processes: one file at a time, or they starve one another.
          fileParallelism: false,
        },
      },
      {
        test: { ...patience, name: 'unhurried', include: unhurried, fileParallelism: false },
      },
    ],
  },
});
