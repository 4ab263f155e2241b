/** How much of a model is looked at beside its training: no more than a coordinator has the memory for. */
import { buildModel, type ModelDescription } from '@kasane/tensor/nn/model';
import { expect, it } from 'vitest';
import { probedSamples } from '../src/run/probe.ts';

type Nodes = NonNullable<ModelDescription['definitions']>[string]['nodes'];

const samplesOf = (nodes: Nodes) =>
  probedSamples(
    buildModel({
      input: [4],
      output: [4],
      layers: [{ type: 'mine' }, { type: 'dense', units: 4 }] as unknown as ModelDescription['layers'],
      definitions: { mine: { version: 1, inputs: [[4]], nodes, output: nodes.length } },
    }),
  );

/** As many numbers as 4 x 2^times, of which four go on. */
const doubled = (times: number): Nodes => [
  ...Array.from({ length: times }, (_, at) => ['concat', at, at, { axis: 1 }] as const),
  ['slice', times, { start: [0, 0], size: ['n', 4], step: [1, 1] }],
];

it('looks at fewer samples, or none, where values within a layer are large', () => {
  expect(samplesOf([['neg', 0]])).toBe(64);
  expect(samplesOf(doubled(4))).toBe(64);
  expect(samplesOf(doubled(18))).toBe(4);
  expect(samplesOf(doubled(24))).toBe(0);
  // Each sample with each other one, and each of these with each.
  const all = ['n', 'n', 'n', 'n', 'n'];
  const pairs: Nodes = [
    ['sum', 0, { axes: [1] }],
    ['broadcast', 1, { shape: all }],
    ['sum', 2, { axes: [0, 1, 2, 3] }],
    ['reshape', 3, { shape: ['n', 1] }],
    ['mul', 0, 4],
  ];
  expect(samplesOf(pairs)).toBe(16);
});
