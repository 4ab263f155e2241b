import { describe, expect, it } from 'vitest';
import { runReference } from '../src/backends/reference/run.ts';
import { openWasmSession } from '../src/backends/wasm/session.ts';
import { describePreset } from '../src/models/presets.ts';
import { buildModel, initializeParameters, type Model } from '../src/nn/model.ts';
import { checkObjective, type Objective, ObjectiveError, targetOf } from '../src/objective.ts';
import { traceProgram } from '../src/training.ts';
import { directions } from './support/cases.ts';
import { slopesOf } from './support/slope.ts';

const samples = 3;
const numbers = buildModel({ input: [4], output: [2], layers: [{ type: 'dense', units: 2 }] });
const classes = buildModel({ input: [4], classes: 3, layers: [{ type: 'dense', units: 3 }] });
const sizes = { tokens: 11, context: 5, width: 8, depth: 1, heads: 2, dropout: 0 };
const [gpt, bert] = ['gpt', 'bert'].map((name) => buildModel(describePreset(name, sizes))) as [Model, Model];
const tokens = Array.from({ length: samples * 5 }, (_, i) => (7 * i) % 11);

interface Case {
  readonly model: Model;
  readonly objective: Objective;
  readonly labels: readonly number[];
  /** Training samples are mixtures of two; evaluated ones never are. */
  readonly mixed?: true;
}
const cases: Record<string, Case> = {
  classification: { model: classes, objective: { type: 'classification' }, labels: [2, 0, 1] },
  'classes with weights': {
    model: classes,
    objective: { type: 'classification', labelSmoothing: 0.1, classWeights: [1, 2, 0.5] },
    labels: [2, 0, 1],
  },
  'mixtures of classes with weights': {
    model: classes,
    objective: { type: 'classification', labelSmoothing: 0.1, classWeights: [1, 2, 0.5] },
    labels: [2, 0, 0.75, 0, 1, 0.125, 1, 1, 0.5],
    mixed: true,
  },
  binary: { model: numbers, objective: { type: 'binary' }, labels: [1, 0, 0, 1, 1, 1] },
  'classes, focal': {
    model: classes,
    objective: { type: 'classification', focal: 1.5, classWeights: [1, 2, 0.5] },
    labels: [2, 0, 1],
  },
  'mixtures of classes, focal': {
    model: classes,
    objective: { type: 'classification', focal: 2 },
    labels: [2, 0, 0.75, 0, 1, 0.125, 1, 1, 0.5],
    mixed: true,
  },
  dice: { model: numbers, objective: { type: 'binary', loss: 'dice' }, labels: [1, 0, 0, 1, 1, 1] },
  'dice and cross-entropy': {
    model: numbers,
    objective: { type: 'binary', loss: 'both' },
    labels: [1, 0, 0, 1, 1, 1],
  },
  mse: { model: numbers, objective: { type: 'regression' }, labels: [1, -2, 0.5, 3, 0, 0] },
  mae: { model: numbers, objective: { type: 'regression', loss: 'mae' }, labels: [1, -2, 0.5, 3, 0, 0] },
  huber: {
    model: numbers,
    objective: { type: 'regression', loss: 'huber', delta: 0.5 },
    labels: [1, -2, 0.5, 3, 0, 0],
  },
  'next-token': {
    model: gpt,
    objective: { type: 'next-token' },
    labels: tokens.map((token, i) => (i % 4 === 0 ? -1 : (token + 1) % 11)),
  },
  'masked-token': {
    model: bert,
    objective: { type: 'masked-token', labelSmoothing: 0.1 },
    labels: tokens.map((token, i) => (i % 4 === 0 ? token : -1)),
  },
};

const feedsOf = ({ model, labels }: Case) => ({
  x: model.sampleShape.length === 1 && model.outputShape.length === 2 ? tokens : directions(12, 3),
  labels,
  sampleIds: [4, 9, 1],
  key: [1, 0, 2, 0],
});

describe.each(Object.entries(cases))('%s', (_, one) => {
  const { model, objective, mixed = false } = one;
  const feeds = feedsOf(one);
  const parameters = Float64Array.from(initializeParameters(model, 1));
  const train = traceProgram(model, { mode: 'train', samples, objective, mixed });

  it('has gradients of the summed loss that agree with central differences', () => {
    const { measured, computed } = slopesOf(train, feeds, parameters, 1e-6);
    expect(measured / computed).toBeCloseTo(1, 5);
  });

  it('is the same on wasm, training and evaluating', async () => {
    const modes = mixed ? (['train'] as const) : (['train', 'evaluate'] as const);
    const requests = modes.map((mode) => ({ mode, samples, objective, mixed }));
    const session = await openWasmSession(model, requests);
    session.parameters.set(parameters);
    for (const request of requests) {
      const program = session.program(request);
      const wanted = runReference(traceProgram(model, request), feeds, parameters);
      program.x.set(feeds.x);
      if (objective.type === 'classification' && !mixed) program.labels.set(one.labels);
      else program.targets.set(one.labels);
      if (program.sampleIds.length > 0) program.sampleIds.set(feeds.sampleIds);
      if (program.key.length > 0) program.key.set(feeds.key);
      program.run();
      expect(program.lossSum[0]).toBeCloseTo(wanted.lossSum!, 3);
      expect(program.metricSum[0]).toBeCloseTo(wanted.metricSum!, 4);
      expect(program.counted[0]).toBe(wanted.counted);
      if (wanted.weight === undefined) expect(program.weight).toHaveLength(0);
      else expect(program.weight[0]).toBeCloseTo(wanted.weight, 5);
    }
  });
});

const evaluated = (one: Case, logits: readonly number[]) => {
  // One dense layer without a weight: its bias is the output of every sample.
  const parameters = new Float64Array(one.model.parameterCount);
  parameters.set(logits, one.model.parameterCount - logits.length);
  const { model, objective } = one;
  return runReference(
    traceProgram(model, { mode: 'evaluate', samples, objective }),
    feedsOf(one),
    parameters,
  );
};

describe('losses and metrics, by hand', () => {
  it('regression', () => {
    const { lossSum, metricSum } = evaluated(cases.mse!, [1, 0]);
    expect(lossSum).toBeCloseTo((0 + 4) / 2 + (0.25 + 9) / 2 + (1 + 0) / 2);
    expect(metricSum).toBeCloseTo((0 + 2) / 2 + (0.5 + 3) / 2 + (1 + 0) / 2);
    // |d| beyond delta 0.5: 0.5 (|d| - 0.25); up to it: d^2 / 2.
    const far = (d: number) => 0.5 * (d - 0.25);
    expect(evaluated(cases.huber!, [1, 0]).lossSum).toBeCloseTo(
      (0 + far(2)) / 2 + (0.125 + far(3)) / 2 + (far(1) + 0) / 2,
    );
  });

  it('binary', () => {
    const { lossSum, metricSum } = evaluated(cases.binary!, [2, -1]);
    const [yes, no] = [(x: number) => Math.log(1 + Math.exp(-x)), (x: number) => Math.log(1 + Math.exp(x))];
    expect(lossSum).toBeCloseTo((yes(2) + no(-1)) / 2 + (no(2) + yes(-1)) / 2 + (yes(2) + yes(-1)) / 2);
    expect(metricSum).toBeCloseTo(1 + 0 + 0.5);
  });

  it('classes: smoothing and weights belong to training, an evaluation has the plain loss', () => {
    const plain = evaluated(cases.classification!, [1, 2, 3]);
    expect(evaluated(cases['classes with weights']!, [1, 2, 3]).lossSum).toBe(plain.lossSum);
    const total = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3));
    expect(plain.lossSum).toBeCloseTo(3 * total - 6);
    expect(plain.metricSum).toBe(1);
  });

  it('dice: overlap of all outputs of a sample, alone or beside cross-entropy', () => {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    const [a, b] = [sigmoid(2), sigmoid(-1)];
    const of = (overlap: number, there: number) => 1 - (2 * overlap + 1) / (a + b + there + 1);
    const { lossSum, metricSum } = evaluated(cases.dice!, [2, -1]);
    expect(lossSum).toBeCloseTo(of(a, 1) + of(b, 1) + of(a + b, 2));
    const plain = evaluated(cases.binary!, [2, -1]);
    expect(metricSum).toBe(plain.metricSum);
    expect(evaluated(cases['dice and cross-entropy']!, [2, -1]).lossSum).toBeCloseTo(
      lossSum! + plain.lossSum!,
    );
  });

  it('focal: in training the loss times (1 - p)^2, in an evaluation the plain one', () => {
    const one: Case = { model: classes, objective: { type: 'classification', focal: 2 }, labels: [2, 0, 1] };
    const parameters = new Float64Array(classes.parameterCount);
    const scores = [1, 2, 30];
    parameters.set(scores, classes.parameterCount - 3);
    const { model, objective } = one;
    const program = traceProgram(model, { mode: 'train', samples, objective });
    const total = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
    const wanted = [2, 0, 1].map((label) => {
      const loss = total - scores[label]!;
      return Math.expm1(-loss) ** 2 * loss;
    });
    expect(runReference(program, feedsOf(one), parameters).lossSum).toBeCloseTo(
      wanted.reduce((a, b) => a + b),
      10,
    );
    expect(evaluated(one, scores).lossSum).toBe(evaluated(cases.classification!, scores).lossSum);
  });

  it('focal: a sample that is right beyond doubt has loss and gradient 0', () => {
    const objective = { type: 'classification', focal: 0.5 } as const;
    const parameters = new Float64Array(classes.parameterCount);
    parameters.set([0, 0, 3000], classes.parameterCount - 3);
    const program = traceProgram(classes, { mode: 'train', samples, objective });
    const run = runReference(program, feedsOf({ model: classes, objective, labels: [2, 2, 2] }), parameters);
    expect(run.lossSum).toBe(0);
    expect(run.gradients!.flatMap((g) => [...g]).every((g) => Math.abs(g) < 1e-8)).toBe(true);
  });

  it('mixtures: what each class has, by its share', () => {
    const { model, objective, labels } = cases['mixtures of classes with weights']!;
    const parameters = new Float64Array(model.parameterCount);
    parameters.set([1, 2, 3], model.parameterCount - 3);
    const trained = (given: readonly number[], mixed: boolean) =>
      runReference(
        traceProgram(model, { mode: 'train', samples, objective, mixed }),
        feedsOf({ model, objective, labels: given }),
        parameters,
      );
    const alone = [0, 1, 2].map((label) => trained([label, label, label], false));
    const wanted = (name: 'lossSum' | 'metricSum') =>
      [0, 3, 6].reduce((sum, at) => {
        const [one, other, share] = labels.slice(at, at + 3) as [number, number, number];
        return sum + (share * alone[one]![name]! + (1 - share) * alone[other]![name]!) / samples;
      }, 0);
    const { lossSum, metricSum } = trained(labels, true);
    expect(lossSum).toBeCloseTo(wanted('lossSum'), 10);
    expect(metricSum).toBeCloseTo(0.75, 10);
    expect(metricSum).toBeCloseTo(wanted('metricSum'), 10);
  });

  it('of tokens only those that count, and their number', () => {
    const uniform = new Float64Array(gpt.parameterCount);
    const { model, objective, labels } = cases['next-token']!;
    const run = runReference(
      traceProgram(model, { mode: 'train', samples, objective }),
      feedsOf(cases['next-token']!),
      uniform,
    );
    const counted = labels.filter((label) => label >= 0).length;
    expect(run.counted).toBe(counted);
    expect(run.lossSum).toBeCloseTo(counted * Math.log(11));
  });
});

describe('checkObjective', () => {
  it.each<[Model, Objective, RegExp]>([
    [numbers, { type: 'classification' }, /requires a model with classes.*output is \[2\]/],
    [classes, { type: 'regression' }, /requires a model with an output.*classes is 3/],
    [classes, { type: 'classification', classWeights: [1, 2] }, /2 classWeights for 3 classes/],
    [
      classes,
      { type: 'classification', focal: 2, labelSmoothing: 0.1 },
      /contradict each other.*Leave one out/,
    ],
    [numbers, { type: 'next-token' }, /requires a model with output \[time, tokens\]; its output is \[2\]/],
  ])('refuses what does not fit: %#', (model, objective, message) => {
    expect(() => checkObjective(model, objective)).toThrow(ObjectiveError);
    expect(() => checkObjective(model, objective)).toThrow(message);
  });

  it('says which target the data must have', () => {
    expect(targetOf(classes, { type: 'classification' })).toEqual({ dtype: 'i32', shape: [] });
    expect(targetOf(numbers, { type: 'regression' })).toEqual({ dtype: 'f32', shape: [2] });
    expect(targetOf(gpt, { type: 'next-token' })).toEqual({ dtype: 'i32', shape: [5] });
    expect(targetOf(bert, { type: 'masked-token' })).toEqual({ dtype: 'i32', shape: [5] });
  });
});
