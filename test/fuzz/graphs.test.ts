/**
 * Graphs of models that programs defined, changed at random places: each is refused with a typed error that names the place, or is taken
 * and makes programs, in less than a second of CPU time. `npm run fuzz` tries 100,000.
 */
import { defineLayer, defineModel } from '@kasane/client/model';
import { KasaneError } from '@kasane/protocol/errors';
import { checkJob } from '@kasane/protocol/job';
import { crossEntropy } from '@kasane/tensor/nn/losses';
import { buildModel, type ModelDescription, ModelError } from '@kasane/tensor/nn/model';
import type { Objective } from '@kasane/tensor/objective';
import { conv2d } from '@kasane/tensor/ops/conv2d';
import { gather, toIndex } from '@kasane/tensor/ops/gather';
import { argmaxEquals, oneHot } from '@kasane/tensor/ops/labels';
import { constant, iota } from '@kasane/tensor/ops/leaf';
import { matmul } from '@kasane/tensor/ops/matmul';
import { reshape, transpose } from '@kasane/tensor/ops/movement';
import { concat, pad, sliceAxis } from '@kasane/tensor/ops/parts';
import { add, div, exp, mul, relu, sqrt, sub } from '@kasane/tensor/ops/pointwise';
import { maxReduce, mean, sum } from '@kasane/tensor/ops/reduce';
import { window } from '@kasane/tensor/ops/window';
import { traceProgram } from '@kasane/tensor/training';
import { expect, it } from 'vitest';
import { type Random, randomOf } from '../chaos/random.ts';

const runs = Number(process.env.KASANE_FUZZ_RUNS ?? 1_000);
const seed = Number(process.env.KASANE_FUZZ_SEED ?? 20_261_130);
const MOST_CPU_US = 1_000_000;

const normal = { kind: 'normal', std: 1 } as const;
const norm = defineLayer({
  type: 'norm',
  build(m, [x]) {
    const center = m.statistic('center', mean(x!, [0]), { initial: { kind: 'zeros' } });
    const away = sub(x!, center);
    return div(away, sqrt(add(mean(mul(away, away), [0]), constant(1e-5))));
  },
});

const models = [
  defineModel({
    input: [4],
    classes: 3,
    build(m, x) {
      const weight = m.parameter('weight', [4, 4], { kind: 'orthogonal' });
      const one = m.layer(
        norm,
        {},
        m.scope('one', (s) => s.dropout(relu(matmul(x, weight)), 0.5)),
      );
      const two = m.scope('two', (s) => add(matmul(one, transpose(weight)), s.normal([4])));
      return m.layer(
        'dense',
        { units: 3 },
        m.scope('both', () => concat([one, sliceAxis(two, 1, 1, 3)], 1)),
      );
    },
    loss: {
      target: { dtype: 'i32', shape: [] },
      of: ({ output, target }) =>
        add(crossEntropy(output!, target!), sum(mul(oneHot(target!, 3), output!), [1])),
      metric: { kind: 'accuracy', of: ({ output, target }) => argmaxEquals(output!, target!) },
    },
  }),
  defineModel({
    input: [6, 6, 2],
    build(m, x) {
      const y = m.scope('conv', (s) => {
        const z = conv2d(x, s.parameter('weight', [3, 3, 2, 4], normal), { padding: [1, 1] });
        return m.whenTraining(z, add(z, maxReduce(z, [1, 2], true)));
      });
      return m.scope('tail', (s) => {
        const flat = pad(reshape(y, [y.shape[0]!, 144]), [0, 1], [0, 2]);
        const parts = sum(window(flat, 1, 3, { stride: 3 }), [2]);
        const table = gather(s.parameter('table', [7, 49], normal), toIndex(iota([y.shape[0]!, 1], 1)));
        return add(parts, mul(constant(y.shape[0]!), sum(exp(table), [1])));
      });
    },
    loss: {
      target: { dtype: 'f32', shape: [49] },
      of: ({ output, target }) => mean(mul(sub(output!, target!), sub(output!, target!)), [1]),
    },
  }),
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const odd: readonly Json[] = [
  ...[0, 1, 2, 3, 5, 7, -1, 0.5, 1e9, 2 ** 24, 2 ** 31, 1e300, -0],
  ...['n', '2n', '0n', '-n', '99999999n', 'inf', 'nan', '', 'eval', 'constructor', 'toString', 'input'],
  ...[
    'reshape',
    'broadcast',
    'gather',
    'matmul',
    'sum',
    'statistic',
    'phase',
    'dropout',
    'normal',
    'scatterAdd',
  ],
  ...[
    'conv2dInputGradient',
    'conv2dWeightGradient',
    'fold',
    'flip',
    'detach',
    'oneHot',
    'argmax',
    'dropoutMask',
  ],
  ...[null, true, false],
  ...([[], [[]], {}, [1, 2], ['n', 4], { shape: ['n'] }, { n: 1 }] as Json[]),
];

/** A copy that is changed at one place. */
function changed(whole: Json, random: Random): Json {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const copy = structuredClone(whole);
  const places: { holder: Json[] | { [key: string]: Json }; key: string }[] = [];
  const look = (value: Json) => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      places.push({ holder: value, key });
      look((value as { [key: string]: Json })[key]!);
    }
  };
  look(copy);
  if (places.length === 0) return pick(odd);
  const { holder, key } = pick(places);
  const fields = holder as { [key: string]: Json };
  const other = pick(places);
  const value = fields[key]!;
  switch (Math.floor(random() * 7)) {
    case 0:
    case 1:
      fields[key] = structuredClone(pick(odd));
      break;
    case 2:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      break;
    case 3:
      if (Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(value));
      else fields[`${key}x`] = structuredClone(value);
      break;
    case 4:
      fields[key] = structuredClone((other.holder as { [key: string]: Json })[other.key]!);
      break;
    default:
      fields[key] = typeof value === 'number' ? value + pick([-1, 1, 2, 10]) : structuredClone(pick(odd));
  }
  return copy;
}

/** Whether it was taken. Workers build models of what a coordinator sends; a coordinator checks the job as a whole before. */
function attempt(model: Json, asJob: boolean): boolean {
  try {
    const built = buildModel(model as unknown as ModelDescription);
    const objective: Objective = { type: 'own', metric: built.loss?.metric ?? 'error' };
    if (asJob) checkJob({ name: 'x', model, training: { batch: 8 } });
    if (!built.loss) return true;
    for (const mode of ['train', 'evaluate', 'predict'] as const)
      for (const samples of [1, 4, 9]) traceProgram(built, { mode, samples, objective });
    return true;
  } catch (error) {
    if (!(error instanceof ModelError || (asJob && error instanceof KasaneError))) throw error;
    expect(error.message.length).toBeGreaterThan(10);
    return false;
  }
}

/** Microseconds of CPU time that an input takes; the least of up to three tries, since other programs may be at work. */
function cost(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let go = 0; go < 3 && least > MOST_CPU_US; go++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

it(`answers ${runs} changed graphs`, { timeout: 3_600_000 }, () => {
  const random = randomOf(seed);
  let taken = 0;
  for (const model of models) expect(attempt(model as unknown as Json, true)).toBe(true);
  for (let run = 0; run < runs; run++) {
    let model = models[run % models.length] as unknown as Json;
    for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) model = changed(model, random);
    const said = `run ${run}, seed ${seed}: ${JSON.stringify(model)}`;
    let isTaken = false;
    try {
      const us = cost(() => {
        isTaken = attempt(model, run % 20 === 0);
      });
      if (us > MOST_CPU_US) throw new Error(`${us / 1000} ms of CPU time`);
    } catch (error) {
      throw new Error(`${said}: ${String(error)}`, { cause: error });
    }
    if (isTaken) taken++;
  }
  // Neither is everything refused, nor everything taken.
  expect(taken).toBeGreaterThan(runs / 100);
  expect(taken).toBeLessThan(runs / 2);
});
