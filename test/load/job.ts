/** The jobs of load tests: a small network, many shards. */
import { smallMnist } from '../support/cluster.ts';

/** Steps of an epoch. */
export const EPOCH_STEPS = 10;
const SHARD_SAMPLES = 2;

/** Writes data for jobs of so many shards, and returns such a job. */
export function loadJob(directory: string, shards: number, epochs: number): object {
  const batch = SHARD_SAMPLES * shards;
  return {
    name: 'load',
    model: {
      input: [28, 28],
      classes: 10,
      layers: [
        { type: 'flatten' },
        { type: 'dense', units: 16 },
        { type: 'relu' },
        { type: 'dense', units: 10 },
      ],
    },
    data: { path: smallMnist(directory, EPOCH_STEPS * batch, 200), route: 'staged' },
    training: { epochs, batch, shards, seed: 3 },
    evaluation: { shardSamples: 100 },
  };
}
