/**
 * Jobs that need no file: `kasane train mnist-mlp`, one for each preset of models. Each is the content of a job file, readable in examples/ too.
 * MNIST comes with Kasane; `kasane data get` brings what the others train on.
 */
import type * as z from '../gen/zod.js';
import type { jobSchema } from './job.ts';

type JobFile = z.input<typeof jobSchema>;

/** Photographs at the size that networks for ImageNet take. */
const largePhotos: JobFile['data'] = {
  format: 'imagefolder',
  path: 'data/cifar10',
  size: 224,
  augment: [{ type: 'flip' }],
};
const smallPhotos: JobFile['data'] = {
  format: 'imagefolder',
  path: 'data/cifar10',
  size: 32,
  augment: [{ type: 'crop' }, { type: 'flip' }],
};
const nesterov = { type: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.0005 } as const;
const ofSmallPhotos: JobFile['training'] = {
  epochs: 10,
  batch: 128,
  shards: 2,
  learningRate: 0.1,
  optimizer: nesterov,
  schedule: { type: 'one-cycle' },
};
const ofLargePhotos = (learningRate: number): JobFile['training'] => ({
  epochs: 3,
  batch: 16,
  shards: 2,
  learningRate,
  optimizer: nesterov,
  schedule: { type: 'one-cycle' },
});

const novel: JobFile['data'] = {
  format: 'text',
  path: 'data/moby-dick.txt',
  tokenizer: 'character',
  context: 64,
};
/** Of a transformer over its characters. */
const small = { tokens: 96, context: 64, width: 96, depth: 3, heads: 4, dropout: 0.05 };
const ofNovel = (learningRate: number, warmupSteps: number): JobFile['training'] => ({
  epochs: 3,
  batch: 32,
  shards: 2,
  learningRate,
  optimizer: { type: 'adamw', weightDecay: 0.05, decayBiasAndNorm: false },
  schedule: { type: 'cosine', warmupSteps },
  clipNorm: 1,
});

const mail: JobFile['data'] = {
  format: 'text',
  path: 'data/mail.csv',
  tokenizer: 'bpe',
  vocabulary: 2048,
  context: 100,
};
/** Of a recurrent network over its texts. */
const reader = { tokens: 2048, context: 100, embed: 64, units: 64, dropout: 0.3 };
const ofMail: JobFile['training'] = {
  epochs: 6,
  batch: 64,
  shards: 2,
  learningRate: 0.003,
  optimizer: { type: 'adamw', weightDecay: 0.01 },
  schedule: { type: 'cosine', warmupSteps: 50 },
  clipNorm: 1,
};

export const jobPresets: Readonly<Record<string, JobFile>> = {
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
  perceptron: {
    name: 'perceptron',
    model: { preset: 'perceptron' },
    data: { format: 'csv', path: 'data/and.csv', test: 'data/and.csv', target: 'and' },
    training: { epochs: 100, batch: 4, shards: 2, learningRate: 0.1 },
  },
  xor: {
    name: 'xor',
    model: { preset: 'xor' },
    data: { format: 'csv', path: 'data/xor.csv', test: 'data/xor.csv', target: 'xor' },
    training: { epochs: 200, batch: 4, shards: 2, learningRate: 0.05 },
  },
  tabular: {
    name: 'tabular',
    model: { preset: 'tabular', features: 9, outputs: 3, hidden: [32, 16] },
    data: { format: 'csv', path: 'data/penguins.csv', target: 'Species' },
    training: { epochs: 60, batch: 32, shards: 2, learningRate: 0.01, stopEarly: { patience: 15 } },
  },
  'cnn-224': {
    name: 'cnn-224',
    model: { preset: 'cnn-224', classes: 10 },
    data: largePhotos,
    training: {
      epochs: 3,
      batch: 16,
      shards: 2,
      learningRate: 0.0005,
      optimizer: { type: 'adamw', weightDecay: 0.01 },
      schedule: { type: 'one-cycle' },
    },
    evaluation: { shardSamples: 16 },
  },
  alexnet: {
    name: 'alexnet',
    model: { preset: 'alexnet', classes: 10 },
    data: largePhotos,
    training: {
      epochs: 3,
      batch: 32,
      shards: 2,
      learningRate: 0.0003,
      optimizer: { type: 'adamw', weightDecay: 0.01 },
      schedule: { type: 'one-cycle' },
    },
    evaluation: { shardSamples: 32 },
  },
  'vgg-11': {
    name: 'vgg-11',
    model: { preset: 'vgg-11', classes: 10, norm: true },
    data: largePhotos,
    training: ofLargePhotos(0.01),
    evaluation: { shardSamples: 16 },
  },
  'vgg-16': {
    name: 'vgg-16',
    model: { preset: 'vgg-16', classes: 10, norm: true },
    data: largePhotos,
    training: ofLargePhotos(0.01),
    evaluation: { shardSamples: 16 },
  },
  'resnet-18': {
    name: 'resnet-18',
    model: { preset: 'resnet-18', classes: 10, stem: 'cifar' },
    data: smallPhotos,
    training: ofSmallPhotos,
    evaluation: { shardSamples: 128 },
  },
  'resnet-34': {
    name: 'resnet-34',
    model: { preset: 'resnet-34', classes: 10, stem: 'cifar' },
    data: smallPhotos,
    training: ofSmallPhotos,
    evaluation: { shardSamples: 128 },
  },
  'resnet-50': {
    name: 'resnet-50',
    model: { preset: 'resnet-50', classes: 10 },
    data: largePhotos,
    training: ofLargePhotos(0.02),
    evaluation: { shardSamples: 16 },
  },
  'resnet-101': {
    name: 'resnet-101',
    model: { preset: 'resnet-101', classes: 10 },
    data: largePhotos,
    training: ofLargePhotos(0.02),
    evaluation: { shardSamples: 16 },
  },
  'resnet-152': {
    name: 'resnet-152',
    model: { preset: 'resnet-152', classes: 10 },
    data: largePhotos,
    training: ofLargePhotos(0.02),
    evaluation: { shardSamples: 16 },
  },
  gpt: {
    name: 'gpt',
    model: { preset: 'gpt', ...small },
    data: novel,
    training: ofNovel(0.003, 50),
    evaluation: { shardSamples: 32 },
  },
  llama: {
    name: 'llama',
    model: { preset: 'llama', ...small, keyValueHeads: 2 },
    data: novel,
    training: ofNovel(0.003, 50),
    evaluation: { shardSamples: 32 },
  },
  bert: {
    name: 'bert',
    model: { preset: 'bert', ...small },
    data: novel,
    training: ofNovel(0.002, 100),
    evaluation: { shardSamples: 32 },
  },
  'lstm-text': {
    name: 'lstm-text',
    model: { preset: 'lstm-text', ...reader },
    data: mail,
    training: ofMail,
    evaluation: { shardSamples: 64 },
  },
  'gru-text': {
    name: 'gru-text',
    model: { preset: 'gru-text', ...reader },
    data: mail,
    training: ofMail,
    evaluation: { shardSamples: 64 },
  },
  'lstm-forecast': {
    name: 'lstm-forecast',
    model: { preset: 'lstm-forecast', window: 28, features: 4, horizon: 1, units: 32 },
    objective: { type: 'regression', loss: 'huber' },
    data: {
      format: 'series',
      path: 'data/seattle.csv',
      columns: ['precipitation', 'temp_max', 'temp_min', 'wind'],
      target: 'temp_max',
      window: 28,
    },
    training: {
      epochs: 40,
      batch: 64,
      shards: 2,
      learningRate: 0.005,
      schedule: { type: 'cosine', warmupSteps: 20 },
      clipNorm: 1,
      stopEarly: { patience: 10 },
    },
  },
};
