/** The diagnosis of networks that really train: of healthy ones nothing at any time, of others what is wrong with them. */
import { initialValues } from '@kasane/tensor/internal/nn/initializers';
import type { LayerDescription, ModelDescription } from '@kasane/tensor/nn/model';
import { keyOfSeed } from '@kasane/tensor/random';
import { describe, expect, it } from 'vitest';
import { diagnose, type Finding, type Trouble } from '../src/page/diagnose.ts';
import { type Training, train } from './support/training.ts';

const SEEDS = Array.from({ length: 4 }, (_, index) => index + 1);
const STEPS = 100;
const CLASSES = 4;
const SAMPLES = 64;
const BATCHES = 8;
/** The diagnosis is made after so many steps each time, and at the end. */
const LOOKS = 5;

const normals = (count: number, seed: number, index: number) =>
  initialValues({ kind: 'normal', std: 1 }, [count], index, keyOfSeed(seed));

/** Clouds around a center for each class. */
function clouds(size: number, seed: number): Training['batches'] {
  const centers = normals(CLASSES * size, seed, BATCHES);
  return Array.from({ length: BATCHES }, (_, batch) => {
    const labels = Int32Array.from({ length: SAMPLES }, (_, sample) => (7 * sample + batch) % CLASSES);
    const x = normals(SAMPLES * size, seed, batch).map(
      (noise, at) => noise + 0.7 * centers[labels[Math.floor(at / size)]! * size + (at % size)]!,
    );
    return { x, labels };
  });
}

/** Tokens below 8; the first of them is the class. */
function tokens(length: number, seed: number): Training['batches'] {
  return clouds(length, seed).map(({ x, labels }) => ({
    labels,
    x: x.map((value, at) =>
      at % length === 0 ? labels[at / length]! : Math.floor(Math.abs(1000 * value)) % 8,
    ),
  }));
}

const stack = (
  depth: number,
  activation: 'relu' | 'leakyRelu' | 'sigmoid' | 'tanh' | 'gelu',
  norm: LayerDescription[] = [],
): ModelDescription => ({
  input: [16],
  classes: CLASSES,
  layers: [
    ...Array.from({ length: depth }, (): LayerDescription[] => [
      { type: 'dense', units: 32 },
      ...norm,
      { type: activation },
    ]).flat(),
    { type: 'dense', units: CLASSES },
  ],
});
const convolutional: ModelDescription = {
  input: [8, 8, 1],
  classes: CLASSES,
  layers: [
    { type: 'conv2d', filters: 8, size: 3, padding: 1 },
    { type: 'batchNorm' },
    { type: 'relu' },
    { type: 'maxPool', size: 2 },
    { type: 'conv2d', filters: 8, size: 3, padding: 1 },
    { type: 'relu' },
    { type: 'flatten' },
    { type: 'dropout', rate: 0.3 },
    { type: 'dense', units: CLASSES },
  ],
};
const reading = (...layers: LayerDescription[]): ModelDescription => ({
  input: [12],
  classes: CLASSES,
  layers: [
    { type: 'embedding', tokens: 8, units: 16 },
    ...layers,
    { type: 'flatten' },
    { type: 'dense', units: CLASSES },
  ],
});

type Way = Pick<Training, 'optimizer' | 'learningRate'>;
const adam = (learningRate = 0.003): Way => ({ optimizer: { type: 'adam' }, learningRate });
const sgd = (learningRate = 0.02): Way => ({ optimizer: { type: 'sgd', momentum: 0.9 }, learningRate });

/** What was found in the course of a training; the activations are known at the end. */
async function findings(model: ModelDescription, way: Way, seed: number): Promise<(Finding | undefined)[]> {
  const size = model.input!.reduce((product, extent) => product * extent, 1);
  const takesTokens = model.layers[0]!.type === 'embedding';
  const batches = takesTokens ? tokens(size, seed) : clouds(size, seed);
  const { layers, points, activations } = await train({ ...way, model, seed, steps: STEPS, batches });
  const found: (Finding | undefined)[] = [];
  for (let count = LOOKS; count < STEPS; count += LOOKS)
    found.push(diagnose(points.slice(0, count), layers).finding);
  return [...found, diagnose(points, layers, activations).finding];
}

const troublesOf = async (model: ModelDescription, way: Way, seed: number): Promise<Trouble[]> =>
  (await findings(model, way, seed)).flatMap((finding) => finding?.trouble ?? []);

const healthy: readonly (readonly [string, ModelDescription, Way])[] = [
  ['two layers with relu', stack(2, 'relu'), sgd()],
  ['eight layers with relu', stack(8, 'relu'), adam()],
  ['two layers with sigmoid', stack(2, 'sigmoid'), adam()],
  ['twelve layers with tanh', stack(12, 'tanh'), adam()],
  ['twelve layers with batchNorm', stack(12, 'relu', [{ type: 'batchNorm' }]), sgd()],
  ['twelve layers with layerNorm and gelu', stack(12, 'gelu', [{ type: 'layerNorm' }]), adam()],
  ['a convolutional network', convolutional, adam()],
  ['an LSTM', reading({ type: 'lstm', units: 16, layers: 2, returns: 'sequence' }), adam()],
  [
    'a transformer',
    reading({ type: 'positionalEncoding' }, { type: 'transformerBlock', heads: 2 }, { type: 'layerNorm' }),
    adam(),
  ],
];

describe.each(SEEDS)('with seed %i', (seed) => {
  it.each(healthy)('%s: no alarm', async (_, model, way) => {
    expect(await findings(model, way, seed)).toEqual(Array.from({ length: STEPS / LOOKS }));
  });

  it.each([
    ['SGD', sgd()],
    ['Adam', adam()],
  ])('twelve layers with sigmoid and %s: gradients vanish, towards the input', async (_, way) => {
    const found = (await findings(stack(12, 'sigmoid'), way, seed)).slice(1);
    for (const finding of found.slice(0, found.length / 2))
      expect(finding).toMatchObject({
        trouble: 'vanishing',
        of: 13,
        layers: expect.arrayContaining(['dense1']),
      });
    // With some seeds, Adam gets all layers to learn in the end.
    for (const finding of found) expect(finding?.trouble ?? 'vanishing').toBe('vanishing');
    for (const finding of found) expect(finding?.layers ?? []).not.toContain('dense13');
  });

  it('too high a learning rate: updates are large, gradients explode, until nothing is finite', async () => {
    const troubles = await troublesOf(stack(8, 'leakyRelu'), sgd(0.3), seed);
    expect(troubles[0]).toMatch(/^(large|exploding|diverged)$/);
    expect(troubles).toContainEqual(expect.stringMatching(/^(exploding|diverged)$/));
    expect(troubles).not.toContain('vanishing');
  });

  it('a learning rate that is far too high for relu: dead units, not gradients that vanish', async () => {
    const troubles = await troublesOf(stack(3, 'relu'), adam(0.5), seed);
    expect(troubles.at(-1)).toBe('dead');
  });
});
