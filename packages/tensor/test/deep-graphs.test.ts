/** Graphs of programs whose operations follow one another by the thousand, or take the one before several times: they are laid out and computed. */
import { expect, it } from 'vitest';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { buildModel, type ModelDescription } from '../src/nn/model.ts';
import type { GraphNode } from '../src/nn/traced/format.ts';

const WIDTH = 4;
const SAMPLES = 3;
const objective = { type: 'own', metric: 'error' } as const;
const loss = (from: string): NonNullable<ModelDescription['loss']> => ({
  version: 1,
  from: [from],
  target: { dtype: 'f32', shape: [WIDTH] },
  nodes: [['sum', 0, { axes: [1] }]],
  loss: 2,
});

/** A layer that multiplies its input by ones and then runs `nodes`, whose values are numbered from 3. The loss is the sum of its output. */
const modelOf = (nodes: readonly GraphNode[], layers = 1): ModelDescription => ({
  input: [WIDTH],
  output: [WIDTH],
  layers: Array.from({ length: layers }, () => ({ type: 'deep' })) as unknown as ModelDescription['layers'],
  definitions: {
    deep: {
      version: 1,
      inputs: [[WIDTH]],
      parameters: [{ name: 'weight', shape: [WIDTH], initializer: { kind: 'ones' } }],
      nodes: [['mul', 0, 1], ...nodes],
      output: nodes.length + 2,
    },
  },
  loss: loss(`deep${layers}`),
});

const chain = (length: number, node: (before: number, index: number) => GraphNode): GraphNode[] =>
  Array.from({ length }, (_, index) => node(index + 2, index));

/** The loss of ones, and the gradient of the first weight. */
async function trained(description: ModelDescription) {
  const model = buildModel(description);
  const request = { mode: 'train', samples: SAMPLES, objective } as const;
  const session = await openWasmSession(model, [request]);
  const program = session.program(request);
  session.parameters.fill(1);
  program.x.fill(1);
  program.run();
  return { loss: program.lossSum[0]!, gradient: session.gradients[0]! };
}

it.each<[string, ModelDescription, number, number]>([
  ['a chain of one operation', modelOf(chain(4_000, (before) => ['neg', before])), 12, 3],
  [
    'one across layers',
    modelOf(
      chain(1_000, (before) => ['neg', before]),
      10,
    ),
    12,
    3,
  ],
  [
    'a chain of moves',
    modelOf(
      chain(4_000, (before, i) => ['reshape', before, { shape: i % 2 === 0 ? ['n', 2, 2] : ['n', 4] }]),
    ),
    ...([12, 3] as const),
  ],
  [
    'kernels that follow one another',
    modelOf(
      chain(2_000, (before, i) =>
        i % 2 === 0 ? ['sum', before, { axes: [1], keepDims: true }] : ['sub', before, before],
      ).concat([['add', 2_001, 2]]),
    ),
    ...([12, 3] as const),
  ],
])('%s', { timeout: 60_000 }, async (_, description, wantedLoss, wantedGradient) => {
  const { loss: found, gradient } = await trained(description);
  expect(found).toBe(wantedLoss);
  expect(gradient).toBe(wantedGradient);
});

// Each takes what the one before gives several times: as a tree they would be some 5^40 operations.
it.each<[string, (x: number) => number]>([
  ['sigmoid', (x) => 1 / (1 + Math.exp(-x))],
  ['elu', (x) => (x > 0 ? x : Math.expm1(x))],
  ['mish', (x) => x * Math.tanh(Math.log1p(Math.exp(x)))],
  ['hardSwish', (x) => (x * Math.min(6, Math.max(0, x + 3))) / 6],
])('40 times %s', { timeout: 60_000 }, async (op, once) => {
  const { loss: found } = await trained(modelOf(chain(40, (before) => [op, before])));
  let value = 1;
  for (let i = 0; i < 40; i++) value = once(value);
  expect(found / (WIDTH * SAMPLES)).toBeCloseTo(value, 5);
});

const noise = (count: number): GraphNode[] =>
  chain(count, (_, index) => ['normal', { shape: ['n', WIDTH], stream: 32 * index }]);

it('refuses more noise than a worker could lay out, in layers and in a loss', () => {
  const nodes = /a 'normal' counts as 128\); at most 20000 are supported/;
  expect(() => buildModel(modelOf([...noise(100), ['neg', 2]]))).not.toThrow();
  expect(() => buildModel(modelOf([...noise(100), ['neg', 2]], 2))).toThrow(nodes);
  expect(() => buildModel(modelOf([...noise(2_000), ['neg', 2]]))).toThrow(nodes);
  const inLoss = { ...loss('deep1'), nodes: [['sum', 0, { axes: [1] }] as const, ...noise(2_000)] };
  expect(() => buildModel({ ...modelOf([['neg', 2]]), loss: inLoss })).toThrow(nodes);
});
