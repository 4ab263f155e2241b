/** Jobs that need no file: `kasane train mnist-mlp`. Each is the content of a job file, readable in examples/ too. */
import type { z } from 'zod';
import type { jobSchema } from './job.ts';

export const jobPresets: Readonly<Record<string, z.input<typeof jobSchema>>> = {
  'mnist-mlp': {
    name: 'mnist-mlp',
    model: { preset: 'mnist-mlp' },
    data: { format: 'idx', mean: 0.1307, std: 0.3081 },
    training: {
      epochs: 10,
      batch: 512,
      shards: 4,
      seed: 1,
      learningRate: 0.01,
      optimizer: { type: 'adamw', weightDecay: 0.1 },
      schedule: { type: 'one-cycle', riseFraction: 0.2 },
    },
    evaluation: { shardSamples: 1000 },
  },
  'mnist-cnn': {
    name: 'mnist-cnn',
    model: { preset: 'mnist-cnn' },
    data: { format: 'idx', mean: 0.1307, std: 0.3081, augment: [{ type: 'crop', padding: 2 }] },
    training: {
      epochs: 8,
      batch: 128,
      shards: 4,
      seed: 1,
      learningRate: 0.003,
      optimizer: { type: 'adamw', weightDecay: 0.01 },
      schedule: { type: 'one-cycle', riseFraction: 0.3 },
    },
    evaluation: { shardSamples: 500 },
  },
};
