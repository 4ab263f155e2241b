/** Values at the edges: masks, infinities, NaN and labels that are no class, on every backend that runs everywhere. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../src/autodiff.ts';
import { evaluateGraph } from '../src/backends/reference/run.ts';
import type { Node } from '../src/graph.ts';
import { multiHeadAttention, type Projections } from '../src/nn/attention.ts';
import { binaryCrossEntropy, crossEntropy, maskedSoftmax, softmax } from '../src/nn/losses.ts';
import { accuracy, topKAccuracy } from '../src/nn/metrics.ts';
import { buildModel } from '../src/nn/model.ts';
import { type Objective, scoresOf, targetLeaf } from '../src/objective.ts';
import { argmax, argmaxEquals, LabelError } from '../src/ops/labels.ts';
import { input } from '../src/ops/leaf.ts';
import { mul, relu } from '../src/ops/pointwise.ts';
import { sum } from '../src/ops/reduce.ts';
import { runWasm } from './support/run-wasm.ts';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

interface Feeds {
  readonly [name: string]: readonly number[];
}

/** The same outputs on each backend. */
const backends = {
  reference: async (outputs: readonly Node[], feeds: Feeds) => evaluateGraph(outputs, feeds),
  wasm: (outputs: readonly Node[], feeds: Feeds) => runWasm(outputs, feeds),
  'wasm, fast': (outputs: readonly Node[], feeds: Feeds) => runWasm(outputs, feeds, 'fast'),
} as const;

describe.each(Object.entries(backends))('%s', (_, run) => {
  const numbers = async (outputs: readonly Node[], feeds: Feeds) =>
    (await run(outputs, feeds)).map((values) => Array.from(values));

  describe('masks', () => {
    const scores = input('scores', [2, 3]);
    const seen = input('seen', [2, 3]);
    const upstream = input('upstream', [2, 3]);
    const weights = maskedSoftmax(scores, [seen]);
    const slope = gradients(sum(mul(weights, upstream)), [scores])[0]!;

    it.each([
      ['the only score that is seen is far below those that are not', [-1e10, 5, 1e30]],
      ['what is not seen is infinite', [-3e38, infinity, infinity]],
      ['what is not seen is no number', [0, nan, nan]],
    ])('give exactly 0 and no gradient where %s', async (__, row) => {
      const feeds = { scores: [...row, ...row], seen: [1, 0, 0, 0, 0, 0], upstream: [1, 2, 3, 4, 5, 6] };
      expect(await numbers([weights, slope], feeds)).toEqual([
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
      ]);
    });

    it('leave what is seen as it was', async () => {
      const feeds = { scores: [1, 2, 3, 3, -1, 7], seen: [1, 1, 1, 1, 1, 1], upstream: [1, 2, 3, 4, 5, 6] };
      const plain = softmax(scores);
      const [found, wanted] = await numbers([weights, plain], feeds);
      expect(found).toEqual(wanted);
    });

    it('keep the future from a step whose own score is -1e10', async () => {
      const x = input('x', [1, 2, 1]);
      const projections = Array.from({ length: 8 }, (__, i) =>
        input(`p${i}`, i % 2 === 0 ? [1, 1] : [1]),
      ) as unknown as Projections;
      const y = multiHeadAttention(x, projections, { heads: 1, causal: true });
      // Query 1e5 x, key -1e5 x, value and output x: the first step's own score is -1e10.
      const [one, none] = [[1], [0]];
      const feeds = { p0: [1e5], p1: none, p2: [-1e5], p3: none, p4: one, p5: none, p6: one, p7: none };
      for (const later of [1, 1e3, -77]) {
        const [found] = await numbers([y], { ...feeds, x: [1, later] });
        expect(found![0]).toBe(1);
      }
    });

    it('give a step that sees nothing the output bias, and no gradient', async () => {
      const x = input('x', [2, 2, 2]);
      const mask = input('mask', [2, 2]);
      const projections = Array.from({ length: 8 }, (__, i) =>
        input(`p${i}`, i % 2 === 0 ? [2, 2] : [2]),
      ) as unknown as Projections;
      const y = multiHeadAttention(x, projections, { heads: 1, mask });
      const feeds = Object.fromEntries(
        projections.map((__, i) => [`p${i}`, i % 2 === 0 ? [1, 0.5, -0.5, 1] : [0.25, -0.25]]),
      );
      const [found, back] = await numbers([y, gradients(sum(y), [x])[0]!], {
        ...feeds,
        x: [1, 2, 3, 4, 5, 6, 7, 8],
        mask: [0, 0, 1, 1],
      });
      expect(found!.slice(0, 4)).toEqual([0.25, -0.25, 0.25, -0.25]);
      expect(back!.slice(0, 4)).toEqual([0, 0, 0, 0]);
      expect(back!.slice(4).every(Number.isFinite)).toBe(true);
    });
  });

  describe('losses', () => {
    const logits = input('logits', [2, 3]);
    const labels = input('labels', [2], 'i32');
    const losses = crossEntropy(logits, labels);

    it('cross-entropy of a score of -infinity elsewhere is that of the others', async () => {
      const [found, slope] = await numbers([losses, gradients(sum(losses), [logits])[0]!], {
        logits: [-infinity, 0, 0, 1, -infinity, 1],
        labels: [1, 0],
      });
      for (const loss of found!) expect(loss).toBeCloseTo(Math.LN2, 6);
      [0, -0.5, 0.5, -0.5, 0, 0.5].forEach((wanted, i) => {
        expect(slope![i]).toBeCloseTo(wanted, 6);
      });
    });

    it('cross-entropy of a label whose own score is -infinity is infinite', async () => {
      const [found] = await numbers([losses], { logits: [-infinity, 0, 0, 1, 2, 3], labels: [0, 2] });
      expect(found![0]).toBe(infinity);
      expect(found![1]).toBeLessThan(1);
    });

    it.each([
      [[1, 3], 'sample 1 of the batch: label 3 is out of range; there are 3 classes, 0 to 2'],
      [[-1, 0], 'sample 0 of the batch: label -1 is out of range; there are 3 classes, 0 to 2'],
      [
        [2, 2147483647],
        'sample 1 of the batch: label 2147483647 is out of range; there are 3 classes, 0 to 2',
      ],
    ])('labels %j are refused, naming sample and label', async (given, message) => {
      const feeds = { logits: [1, 2, 3, 4, 5, 6], labels: given };
      const failed = await run([losses], feeds).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failed).toBeInstanceOf(LabelError);
      expect((failed as Error).message).toBe(message);
    });

    it('tokens that are none are refused, and those that do not count are not', async () => {
      const objective: Objective = { type: 'next-token' };
      const target = targetLeaf({ outputShape: [2, 3] }, objective, 2);
      const { lossSum, counted } = scoresOf(objective, input('logits', [2, 2, 3]), target, true);
      const feeds = { logits: [1, 2, 3, 1, 2, 3, 1, 2, 3, -infinity, 2, 3] };
      const [loss, count] = await numbers([lossSum, counted!], { ...feeds, labels: [2, -1, 0, -1] });
      expect(loss![0]).toBeGreaterThan(0);
      expect(count).toEqual([2]);
      for (const bad of [3, 0.5, -2, nan]) {
        const running = run([lossSum], { ...feeds, labels: [2, -1, bad, -1] });
        await expect(running).rejects.toThrow(/^sample 1 of the batch, place 0: label -?\d+ is out of range/);
      }
    });

    it('binary cross-entropy does not lose what is small', async () => {
      const [x, t] = [input('x', [4]), input('t', [4])];
      const loss = binaryCrossEntropy(x, t);
      const slope = gradients(sum(loss), [x])[0]!;
      const found = await numbers([loss, slope], { x: [20, -20, 0, 0], t: [1, 0, 1, 0.25] });
      const tiny = Math.log1p(Math.exp(-20));
      const wanted = [
        [tiny, tiny, Math.LN2, Math.LN2],
        [-tiny, tiny, -0.5, 0.25],
      ];
      wanted.flat().forEach((value, i) => {
        expect(found.flat()[i]! / value).toBeCloseTo(1, 5);
      });
    });
  });
  it('a score that is no number is never right', async () => {
    const [scores, labels] = [input('s', [4, 3]), input('l', [4], 'i32')];
    const right = argmaxEquals(scores, labels);
    const feeds = { s: [nan, nan, nan, nan, 1, 2, 1, nan, 2, 1, 2, 3], l: [0, 0, 1, 2] };
    expect(await numbers([right], feeds)).toEqual([[0, 0, 0, 1]]);
    const places = argmax(scores);
    expect(await numbers([places], { s: feeds.s })).toEqual([[0, 0, 1, 2]]);
    expect(topKAccuracy(feeds.s, feeds.l, 3)).toBe(0.25);
    expect(accuracy([nan, nan], [0])).toBe(0);
    const objective: Objective = { type: 'binary' };
    const target = targetLeaf({ outputShape: [1] }, objective, 3);
    const { metricSum } = scoresOf(objective, input('logits', [3, 1]), target, false);
    expect(await numbers([metricSum], { logits: [nan, nan, 1], labels: [0, 1, 1] })).toEqual([[1]]);
  });

  it('the gradient goes through relu where that is no number', async () => {
    const x = input('x', [4]);
    const slope = gradients(sum(relu(x)), [x])[0]!;
    expect(await numbers([slope], { x: [nan, 0, -1, 1] })).toEqual([[1, 0, 0, 1]]);
  });
});

describe('models', () => {
  it('start weights in front of leakyRelu by its slope', () => {
    const bound = (slope: number) => {
      const layers = [
        { type: 'dense', units: 5 },
        { type: 'leakyRelu', slope },
      ] as const;
      const { initializer } = buildModel({ input: [6], output: [5], layers }).parameters[0]!;
      return initializer.kind === 'uniform' ? initializer.bound : nan;
    };
    for (const slope of [0, 0.01, 0.5])
      expect(bound(slope)).toBeCloseTo(Math.sqrt(6 / (6 * (1 + slope ** 2))), 12);
  });
});
