/** The training that is punished: a small convolutional network on a part of MNIST. */
import { smallMnist } from '../support/cluster.ts';

export interface ChaosJob {
  readonly file: string;
  readonly samples: number;
  readonly epochs: number;
  readonly seed: number;
  readonly steps: number;
}

const BATCH = 96;
const SEED = 11;

/** @param directory for its data @param every local steps of a round; with 1 there are none */
export function chaosJob(directory: string, epochs: number, samples = 4_800, every = 1): ChaosJob {
  const file = JSON.stringify({
    name: 'chaos',
    model: {
      input: [28, 28, 1],
      classes: 10,
      layers: [
        { type: 'conv2d', filters: 16, size: 3, padding: 1, bias: false },
        { type: 'batchNorm' },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
        { type: 'conv2d', filters: 32, size: 3, padding: 1 },
        { type: 'relu' },
        { type: 'maxPool', size: 2 },
        { type: 'flatten' },
        { type: 'dense', units: 48 },
        { type: 'relu' },
        { type: 'dropout', rate: 0.3 },
        { type: 'dense', units: 10 },
      ],
    },
    data: { path: smallMnist(directory, samples, 500) },
    training: { epochs, batch: BATCH, shards: 4, seed: SEED },
    exchange: { every },
    evaluation: { shardSamples: 125 },
    checkpoint: { everySteps: 20, keep: 3 },
  });
  return { file, samples, epochs, seed: SEED, steps: epochs * Math.ceil(samples / (BATCH * every)) };
}
