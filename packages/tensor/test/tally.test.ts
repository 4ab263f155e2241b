/**
 * Further metrics of a test, against scikit-learn on the same numbers: 1.2.1 with zero_division=0 and average='macro', and 1.9.1 for
 * jaccard_score with average='micro'.
 */
import { describe, expect, it } from 'vitest';
import { rocAuc } from '../src/nn/metrics.ts';
import type { ObjectiveName } from '../src/objective.ts';
import { confusionOf, scoresOfClasses, Tally, testMetrics, whyImpossibleTally } from '../src/tally.ts';
import { CONFUSION_CLASSES, MOST_OUTPUTS, testMetricNames, testMetricsOf } from '../src/test-metrics.ts';

const SAMPLES = 40;
const rounded = (value: number, digits = 3) => Math.round(value * 10 ** digits) / 10 ** digits;
/** Row-major [samples, outputs]. */
const numbers = (outputs: number, of: (sample: number, output: number) => number) =>
  Float32Array.from({ length: SAMPLES * outputs }, (_, at) => of(Math.floor(at / outputs), at % outputs));
const waves = (classes: number) => numbers(classes, (i, j) => rounded(Math.sin(3 * i + 7 * j)));

/** Tallies parts of a test apart, and adds them up. */
function tallied(
  objective: ObjectiveName,
  outputs: number,
  scores: Float32Array,
  targets: ArrayLike<number>,
) {
  const whole = new Tally(objective, outputs);
  const perTarget = targets.length / SAMPLES;
  for (const [from, to] of [
    [0, 7],
    [7, 8],
    [8, SAMPLES],
  ] as const) {
    const part = new Tally(objective, outputs);
    part.add(
      scores.subarray(from * outputs, to * outputs),
      Array.from(targets).slice(from * perTarget, to * perTarget),
      to - from,
    );
    expect(whyImpossibleTally(objective, outputs, part, to - from)).toBeUndefined();
    whole.merge(part);
  }
  return whole;
}
const metricsOf = (objective: ObjectiveName, outputs: number, tally: Tally) =>
  testMetrics({ type: objective }, outputs, tally, { samples: SAMPLES, loss: 2 });

describe('a classification', () => {
  const labels = Int32Array.from({ length: SAMPLES }, (_, i) => (i * i + Math.floor(i / 3)) % 3);
  const tally = tallied('classification', 4, waves(4), labels);

  it('has precision, recall and F1 as means over the classes, also over one that never occurs', () => {
    const metrics = metricsOf('classification', 4, tally);
    expect(Object.keys(metrics)).toEqual(['precision', 'recall', 'f1']);
    expect(metrics.precision).toBeCloseTo(0.19166666666666665, 12);
    expect(metrics.recall).toBeCloseTo(0.11442307692307692, 12);
    expect(metrics.f1).toBeCloseTo(0.12899436090225563, 12);
  });

  it('has a confusion matrix', () => {
    expect(confusionOf(tally, 4)).toEqual([
      [4, 2, 1, 6],
      [6, 1, 2, 6],
      [5, 1, 1, 5],
      [0, 0, 0, 0],
    ]);
    expect(confusionOf(new Tally('classification', CONFUSION_CLASSES + 1), CONFUSION_CLASSES + 1)).toBe(
      undefined,
    );
  });

  it('leaves out a class that is neither there nor predicted', () => {
    const sure = numbers(4, (sample, c) => Number(c === labels[sample]));
    const perfect = tallied('classification', 4, sure, labels);
    expect(metricsOf('classification', 4, perfect)).toEqual({ precision: 1, recall: 1, f1: 1 });
    expect(scoresOfClasses(perfect, 4)[3]).toMatchObject({ actual: 0, predicted: 0, f1: 0 });
  });

  it('of more than ten classes has top-5 accuracy', () => {
    const twelve = Int32Array.from({ length: SAMPLES }, (_, i) => i % 12);
    const metrics = metricsOf('classification', 12, tallied('classification', 12, waves(12), twelve));
    expect(metrics.top5Accuracy).toBeCloseTo(0.4, 12);
    expect(metrics.f1).toBeCloseTo(0.07638888888888888, 12);
  });

  it('counts a sample with a score that is no number as predicted to be nothing', () => {
    const broken = new Tally('classification', 2);
    broken.add([Number.NaN, 1, 1, 0], [1, 0], 2);
    expect(
      scoresOfClasses(broken, 2).map(({ actual, predicted, hits }) => [actual, predicted, hits]),
    ).toEqual([
      [1, 1, 1],
      [1, 0, 0],
    ]);
  });
});

const truths = (outputs: number) => numbers(outputs, (i, j) => Number(Math.sin(5 * i + j) > 0.3));
const guesses = (outputs: number) => numbers(outputs, (i, j) => rounded(Math.cos(2 * i + j), 1));

it('a binary objective has them as means over its outputs, and the overlap of all together', () => {
  const [truth, scores] = [truths(2), guesses(2)];
  const metrics = metricsOf('binary', 2, tallied('binary', 2, scores, truth));
  expect(metrics.precision).toBeCloseTo(0.44957983193277307, 12);
  expect(metrics.recall).toBeCloseTo(0.5165441176470589, 12);
  expect(metrics.f1).toBeCloseTo(0.478537360890302, 12);
  expect(metrics.iou).toBeCloseTo(0.3148148148148148, 12);
  const column = (all: Float32Array, of: number) => all.filter((_, at) => at % 2 === of);
  expect(rocAuc(column(scores, 0), column(truth, 0))).toBeCloseTo(0.5494791666666667, 12);
  expect(rocAuc(column(scores, 1), column(truth, 1))).toBeCloseTo(0.5204603580562659, 12);
});

it('a mask of many pixels has the overlap alone', () => {
  const pixels = MOST_OUTPUTS + 1;
  const tally = tallied('binary', pixels, guesses(pixels), truths(pixels));
  expect(metricsOf('binary', pixels, tally)).toEqual({ iou: expect.closeTo(0.27990404732703267, 12) });
  const nothing = new Tally('binary', pixels);
  nothing.add(new Float32Array(pixels).fill(-1), new Float32Array(pixels), 1);
  expect(metricsOf('binary', pixels, nothing)).toEqual({ iou: 0 });
  const refused = (counts: number[]) => whyImpossibleTally('binary', pixels, { counts, sums: [] }, 2);
  expect(refused([4003, 0, 0])).toBe('its tally counts 4003 of 4002 outputs');
  expect(refused([9, 8, 9])).toMatch(
    /counts 9 samples of class 0 that were found, of 9 that there are and 8/,
  );
});

it('a regression has the root mean squared error, and R² as a mean over its outputs', () => {
  const targets = numbers(2, (i, j) => (j === 0 ? rounded(Math.sin(i) * 3 + 10) : i % 5));
  const predicted = numbers(
    2,
    (i, j) => targets[2 * i + j]! + (j === 0 ? rounded(0.5 * Math.cos(i)) : 0.25 * (i % 3)),
  );
  const metrics = metricsOf('regression', 2, tallied('regression', 2, predicted, targets));
  expect(metrics.rmse).toBeCloseTo(0.3371326, 6);
  expect(metrics.r2).toBeCloseTo(0.9605304105669985, 6);
});

it('R² is missing where all targets are equal', () => {
  const same = new Float32Array(SAMPLES).fill(0.1);
  expect(metricsOf('regression', 1, tallied('regression', 1, waves(1), same))).toEqual({
    rmse: expect.closeTo(Math.hypot(...waves(1).map((wave) => wave - 0.1)) / Math.sqrt(SAMPLES), 6),
  });
});

it('a language model has the perplexity of its loss', () => {
  expect(metricsOf('next-token', 300, new Tally('next-token', 300))).toEqual({ perplexity: Math.exp(2) });
});

it('is nothing where there is none, or too many outputs', () => {
  expect(metricsOf('masked-token', 300, new Tally('masked-token', 300))).toEqual({});
  expect(testMetricsOf('regression', MOST_OUTPUTS + 1)).toEqual([]);
  const large = new Tally('regression', MOST_OUTPUTS + 1);
  large.add([], [], 0);
  expect(large.sums).toHaveLength(0);
  expect(testMetricNames).toHaveLength(8);
});

it('the area under the curve is half for chance, and NaN for one class', () => {
  expect(rocAuc([1, 1, 1, 1], [1, 0, 1, 0])).toBe(0.5);
  expect(rocAuc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(0.75);
  expect(rocAuc([1, 2], [1, 1])).toBeNaN();
  expect(rocAuc([1, Number.NaN, 2], [1, 0, 1])).toBeNaN();
});

it.each([
  [
    'counts of another length',
    { counts: [1], sums: [] },
    'its tally has 1 counts and 0 sums; expected 11 and 0',
  ],
  [
    'more than there are samples',
    { counts: [9, ...Array(10).fill(0)], sums: [] },
    'its tally counts 9 of 8 samples',
  ],
  [
    'more found than there are',
    { counts: [1, 0, 3, 0, 2, 0, 0, 0, 0, 0, 0], sums: [] },
    'its tally counts 2 samples of class 0 that were found, of 1 that there are and 3 predictions',
  ],
  [
    'classes of other samples',
    { counts: [3, 4, 3, 4, 3, 4, 7, 3, 0, 0, 4], sums: [] },
    'its tally has classes of 7 samples, not of 8',
  ],
  [
    'more predictions than samples',
    { counts: [4, 4, 5, 4, 4, 4, 8, 4, 0, 1, 4], sums: [] },
    'its tally has 9 predictions of 8 samples',
  ],
  [
    'fewer among the first five than right',
    { counts: [4, 4, 4, 4, 4, 4, 7, 4, 0, 0, 4], sums: [] },
    'its tally has 7 samples whose class is among the first five, of 8 predictions, 8 of them right',
  ],
])('refuses %s', (_, tally, why) => {
  expect(whyImpossibleTally('classification', 2, tally, 8)).toBe(why);
});

it.each([
  ['right ones that its diagonal does not have', [2, 1, 2, 3]],
  ['predictions that its columns do not have', [3, 0, 1, 3]],
  ['more of a class than there are', [3, 2, 0, 3]],
])('refuses a confusion matrix of %s', (_, matrix) => {
  const tally = { counts: [4, 4, 4, 4, 3, 3, 8, ...matrix], sums: [] };
  expect(whyImpossibleTally('classification', 2, tally, 8)).toMatch(/confusion matrix does not add up/);
});

it.each([
  ['errors below 0', [-1, 2, 4]],
  ['targets below 0', [1, 0, -4]],
  ['targets that are larger than their squares', [1, 9, 4]],
])('refuses squares of %s', (_, sums) => {
  expect(whyImpossibleTally('regression', 1, { counts: [], sums }, 8)).toBe(
    `its tally's squares of output 0 cannot be: errors ${sums[0]}, targets ${sums[2]}, whose sum is ${sums[1]}`,
  );
});

it('a regression whose model has overflowed has none of them', () => {
  const tally = new Tally('regression', 1);
  tally.add([Number.POSITIVE_INFINITY, 1], [1, 2], 2);
  expect(whyImpossibleTally('regression', 1, tally, 2)).toBeUndefined();
  expect(
    testMetrics({ type: 'regression' }, 1, tally, { samples: 2, loss: Number.POSITIVE_INFINITY }),
  ).toEqual({});
});

it('refuses a tally of what is no test', () => {
  expect(whyImpossibleTally('regression', 0, { counts: [], sums: [1] }, 8)).toBe(
    'its tally has 0 counts and 1 sums; expected 0 and 0',
  );
});
