/** Jobs that need no file: `kasane train mnist-mlp`. Each is the content of a job file, readable in examples/ too. */
import type { z } from 'zod';
import type { jobSchema } from './job.ts';

export const jobPresets: Readonly<Record<string, z.input<typeof jobSchema>>> = {
  'mnist-mlp': {
    name: 'mnist-mlp',
    model: { preset: 'mnist-mlp' },
    data: { format: 'idx', mean: 0.1307, std: 0.3081 },
    training: {
      epochs: 12,
      batch: 128,
      shards: 2,
      seed: 1,
      learningRate: 0.003,
      optimizer: { type: 'adam' },
      schedule: { type: 'one-cycle' },
    },
    evaluation: { shardSamples: 1000 },
  },
};
