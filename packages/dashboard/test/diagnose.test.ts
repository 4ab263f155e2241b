import { LayerInfo, Snapshot, type StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { expect, it } from 'vitest';
import { diagnose, mayBeDead } from '../src/page/diagnose.ts';
import { english } from '../src/page/text.ts';
import { japanese } from '../src/page/text-ja.ts';
import { warningOf } from '../src/page/warning.ts';

const layer = (layer: string, gradientNorm: number, updateRatio = 0.001) => ({
  layer,
  gradientNorm,
  weightNorm: 1,
  updateRatio,
});
const infos = ['first', 'second'].map((name) => LayerInfo.fromPartial({ name, type: 'relu' }));
const quiet = [layer('first', 1), layer('second', 2)];
const pointsOf = (...layers: StepMetrics['layers'][]) =>
  layers.map((layers, index) => ({ step: index + 1, layers }) as StepMetrics);
/** Points that are quiet, but for the newest. */
const ending = (last: StepMetrics['layers'], newest = 9, before = 20) =>
  pointsOf(...Array.from({ length: before }, () => quiet), ...Array.from({ length: newest }, () => last));
const found = (points: StepMetrics[]) => diagnose(points, infos).troubles;

it('finds nothing where all is well, and nothing in the first few points', () => {
  expect(found([])).toEqual(new Map());
  expect(found(ending(quiet))).toEqual(new Map());
  expect(found(ending([layer('first', 1e-9), layer('second', 2)], 1, 2))).toEqual(new Map());
});

it.each([
  ['vanishing', layer('first', 1e-4)],
  ['exploding', layer('first', 150)],
  ['diverged', layer('first', Number.NaN)],
  ['large', layer('first', 1, 0.5)],
] as const)('names a layer whose gradient is %s', (trouble, odd) => {
  expect(found(ending([odd, layer('second', 2)]))).toEqual(new Map([['first', trouble]]));
});

it('takes large updates for what they are where a step is a round of many', () => {
  const points = ending([layer('first', 1, 0.5), layer('second', 2)]);
  expect(diagnose(points, infos, undefined, 50)).toEqual({ troubles: new Map(), finding: undefined });
});

it('takes a gradient that was next to nothing and rises for vanishing, not for exploding', () => {
  const rising = Array.from({ length: 40 }, (_, at) => [
    layer('first', 1e-8 * 1.3 ** at),
    layer('second', 0.3),
  ]);
  for (let count = 10; count <= rising.length; count++)
    expect(found(pointsOf(...rising.slice(0, count)))).toEqual(new Map([['first', 'vanishing']]));
});

it('says nothing of single points, of frozen layers, and of gradients that fall together', () => {
  expect(found(ending([layer('first', 1e-6, 0.9), layer('second', 2)], 1))).toEqual(new Map());
  const frozen = Array.from({ length: 30 }, () => [layer('first', 0, 0), layer('second', 2)]);
  expect(found(pointsOf(...frozen))).toEqual(new Map());
  expect(found(ending([layer('first', 1e-9), layer('second', 1e-9)]))).toEqual(new Map());
});

it('finds gradients that explode towards the input from the first step on', () => {
  const steep = Array.from({ length: 30 }, () => [layer('first', 1e6), layer('second', 1)]);
  expect(found(pointsOf(...steep))).toEqual(new Map([['first', 'exploding']]));
});

it('knows the layers that output exactly 0', () => {
  for (const type of ['relu', 'gelu', 'hardSwish', 'hardSigmoid']) expect(mayBeDead(type), type).toBe(true);
  for (const type of ['leakyRelu', 'prelu', 'elu', 'mish', 'silu']) expect(mayBeDead(type), type).toBe(false);
});

it('finds dead units where units can be dead, and puts them before the gradients that they stop', () => {
  const dead = Snapshot.fromPartial({
    step: 120,
    layers: ['first', 'second', 'pool'].map((layer) => ({
      layer,
      units: 8,
      deadUnits: layer === 'first' ? 2 : 6,
    })),
  });
  const layers = [...infos, LayerInfo.fromPartial({ name: 'pool', type: 'maxPool' })];
  const { troubles, finding } = diagnose(ending([layer('first', 1e-6), layer('second', 2)]), layers, dead);
  expect(troubles).toEqual(
    new Map([
      ['first', 'vanishing'],
      ['second', 'dead'],
    ]),
  );
  expect(finding).toEqual({ trouble: 'dead', layers: ['second'], of: 2, size: 0.75, step: 120 });
});

it('says of the network what is wrong, how far, in which layers, and what to try', () => {
  const names = ['a', 'b', 'c', 'd'];
  const points = Array.from({ length: 20 }, () => [
    ...names.map((name) => layer(name, 2e-8)),
    layer('last', 0.2),
  ]);
  const { finding } = diagnose(pointsOf(...points), []);
  expect(warningOf(english, finding!)).toBe(
    'Vanishing gradients in a, b, c and 1 more (4 of 5 layers): down to 1/10,000,000 of the largest gradient norm, so they hardly learn. Use relu or gelu instead of sigmoid or tanh, add batchNorm or layerNorm, or add skip connections.',
  );
  expect(warningOf(japanese, finding!)).toMatch(
    /^a、b、c ほか 1 層（全 5 層中 4 層）で勾配消失.* 1\/10,000,000 /,
  );
});
