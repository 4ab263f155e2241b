import { describe, expect, it } from 'vitest';
import { runReference } from '../src/backends/reference/run.ts';
import { topologicalOrder } from '../src/graph.ts';
import { buildModel, initializeParameters } from '../src/nn/model.ts';
import { traceProgram } from '../src/training.ts';
import { directions } from './support/cases.ts';
import { slopesOf } from './support/slope.ts';

const model = buildModel({
  input: [2, 3],
  classes: 4,
  layers: [
    { type: 'flatten' },
    { type: 'dense', units: 7 },
    { type: 'relu' },
    { type: 'dropout', rate: 0.25 },
    { type: 'dense', units: 5 },
    { type: 'tanh' },
    { type: 'dense', units: 6, bias: false },
    { type: 'sigmoid' },
    { type: 'dense', units: 4 },
  ],
});
const samples = 5;
const parameters = Float64Array.from(initializeParameters(model, 1));
const feeds = {
  x: directions(6 * samples, 1),
  labels: [3, 0, 1, 1, 2],
  sampleIds: [10, 0xffff_ffff, 3, 7, 59_999],
  key: [1, 0, 2, 0],
};
const train = traceProgram(model, { mode: 'train', samples });

describe('a training program', () => {
  it('has gradients of the summed loss that agree with central differences', () => {
    const { measured, computed, gradients } = slopesOf(train, feeds, parameters, 1e-5);
    expect(gradients.map((g) => g.length)).toEqual(model.parameters.map(({ size }) => size));
    expect(measured / computed).toBeCloseTo(1, 7);
  });

  it('treats each sample alike, whatever batch it is in', () => {
    const one = traceProgram(model, { mode: 'train', samples: 1 });
    const parts = feeds.labels.map((label, i) =>
      runReference(
        one,
        {
          x: feeds.x.subarray(6 * i, 6 * i + 6),
          labels: [label],
          sampleIds: [feeds.sampleIds[i]!],
          key: feeds.key,
        },
        parameters,
      ),
    );
    const whole = runReference(train, feeds, parameters);
    expect(parts.reduce((total, { lossSum }) => total + lossSum!, 0)).toBeCloseTo(whole.lossSum!, 12);
    whole.gradients!.forEach((g, p) => {
      g.forEach((v, e) => {
        expect(parts.reduce((total, part) => total + part.gradients![p]![e]!, 0)).toBeCloseTo(v, 12);
      });
    });
  });

  it('draws for each dropout layer by its place among all layers, and not at all when the rate is 0', () => {
    const rates = [0.5, 0, 0.5];
    const dropouts = buildModel({
      input: [4],
      classes: 4,
      layers: rates.map((rate) => ({ type: 'dropout', rate })),
    });
    const { outputs } = traceProgram(dropouts, { mode: 'train', samples: 1 });
    const masks = topologicalOrder([outputs.logits]).filter(({ op }) => op === 'dropoutMask');
    expect(masks.map(({ attributes }) => attributes.layer)).toEqual([0, 2]);
  });

  it('drops other numbers in another epoch', () => {
    const later = runReference(train, { ...feeds, key: [1, 0, 3, 0] }, parameters);
    expect(later.lossSum).not.toBe(runReference(train, feeds, parameters).lossSum);
  });
});

describe('evaluation and prediction', () => {
  const predict = traceProgram(model, { mode: 'predict', samples });
  const { logits } = runReference(predict, { x: feeds.x }, parameters);

  it('compute loss and hits from the scores that prediction gives', () => {
    const result = runReference(traceProgram(model, { mode: 'evaluate', samples }), feeds, parameters);
    expect(result.gradients).toBeUndefined();
    expect([...result.logits]).toEqual([...logits]);
    let [loss, correct] = [0, 0];
    feeds.labels.forEach((label, i) => {
      const row = [...logits.subarray(4 * i, 4 * i + 4)];
      loss -= Math.log(Math.exp(row[label]!) / row.reduce((total, v) => total + Math.exp(v), 0));
      if (row.indexOf(Math.max(...row)) === label) correct++;
    });
    expect(result.lossSum).toBeCloseTo(loss, 12);
    expect(result.metricSum).toBe(correct);
  });

  it('stays finite with enormous scores', () => {
    const huge = parameters.map((v, i) =>
      i >= model.parameters.at(-1)!.offset ? 1e4 * (i % 2 ? 1 : -1) : v,
    );
    const result = runReference(train, feeds, huge);
    expect(Number.isFinite(result.lossSum)).toBe(true);
    expect(result.gradients!.every((g) => g.every(Number.isFinite))).toBe(true);
  });

  it('refuse what is no number of samples, and wrong parameters', () => {
    expect(() => traceProgram(model, { mode: 'predict', samples: 0 })).toThrow(/samples of a program is 0/);
    expect(() => runReference(predict, { x: feeds.x }, [1, 2])).toThrow(/got 2 parameters; the model has/);
  });
});
