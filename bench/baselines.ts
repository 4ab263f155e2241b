/**
 * What simple methods reach on the data of the examples, on the same held-out part that jobs are tested on:
 *
 *     pnpm bench baselines examples/gpt.yaml examples/lstm-forecast.yaml examples/lstm-text.yaml
 *
 * next-token: unigram to trigram models with interpolated counts (Jelinek and Mercer 1980), in nats a token. regression of a series:
 * the last value, and the mean of the window. regression of a table: the mean of the training part. classification: the most
 * frequent class, and of texts naive Bayes over the same tokens (multinomial, add one). binary, of masks of images: one threshold of
 * brightness for all pixels, that of Otsu (1979) and the one that overlaps most in the training part. own, of images: 16 principal
 * components, as for an autoencoder of so many numbers; of three images, whether the second is closer to the first than the third is.
 */

import { jobOf } from '@kasane/cli/internal/files/read-job';
import { type Dataset, readSamples } from '@kasane/data/dataset';
import { anywhere } from '@kasane/data/internal/files/access';
import { openData } from '@kasane/data/open';
import type { Model } from '@kasane/tensor/nn/model';
import { componentsError, type Rows } from './support/principal-components.ts';
import { bestThreshold, otsuThreshold, overlap } from './support/thresholds.ts';

interface Part {
  readonly inputs: Int32Array | Float32Array;
  readonly targets: Int32Array | Float32Array;
  readonly samples: number;
}

async function read(data: Dataset): Promise<Part> {
  const { samples, input, target } = data;
  const { inputs, targets } = await readSamples(
    data,
    Uint32Array.from({ length: samples }, (_, i) => i),
  );
  const typed = (bytes: Uint8Array, dtype: string) => {
    if (dtype === 'u8') return Int32Array.from(bytes);
    return dtype === 'i32' ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer);
  };
  return { inputs: typed(inputs, input.dtype), targets: typed(targets, target.dtype), samples };
}

for (const path of process.argv.slice(2)) {
  const { spec, objective, model } = await jobOf(path);
  const { train, test, preparation } = await openData(spec.data, anywhere);
  const parts = [await read(train), await read(test)] as const;
  const results: Record<string, string> = {};
  if (objective.type === 'next-token') {
    for (const order of [1, 2, 3]) {
      results[`${['unigram', 'bigram', 'trigram'][order - 1]} model`] =
        `${ngram(...parts, order, train.classes!).toFixed(4)} nats a token`;
    }
  } else if (objective.type === 'regression') {
    const series = preparation.series;
    if (series) {
      const width = series.columns.length;
      const column = series.columns.findIndex(({ name }) => name === series.targets[0]);
      const rows = train.input.shape[0]!;
      const at = (sample: number, row: number) => parts[1].inputs[(sample * rows + row) * width + column]!;
      results['last value'] = error(parts[1], (sample) => at(sample, rows - 1));
      results['mean of the window'] = error(parts[1], (sample) => {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += at(sample, row);
        return sum / rows;
      });
    }
    const mean =
      Array.from(parts[0].targets).reduce((sum, value) => sum + value, 0) / parts[0].targets.length;
    results['mean of the training part'] = error(parts[1], () => mean);
  } else if (objective.type === 'classification') {
    const counts = count(parts[0].targets, train.classes!);
    const most = counts.indexOf(Math.max(...counts));
    const share = (hits: number) => `accuracy ${((100 * hits) / parts[1].samples).toFixed(2)} %`;
    results['most frequent class'] = share(parts[1].targets.filter((label) => label === most).length);
    if (spec.data.format === 'text') results['naive Bayes'] = share(naiveBayes(...parts, train.classes!));
  } else if (objective.type === 'binary' && train.input.dtype === 'u8') {
    const thresholds = { "Otsu's threshold": otsuThreshold, 'best threshold': bestThreshold };
    for (const [name, of] of Object.entries(thresholds)) {
      const threshold = of(parts[0]);
      results[name] = `${threshold}: IoU ${(100 * overlap(parts[1], threshold)).toFixed(2)} %`;
    }
  } else if (objective.type === 'own' && train.input.dtype === 'u8' && inputsOf(model) === 3) {
    results['distance of pixels'] = `accuracy ${(100 * closer(parts[1])).toFixed(2)} %`;
  } else if (objective.type === 'own' && train.input.dtype === 'u8') {
    const rowsOf = ({ inputs, samples }: Part): Rows => ({
      values: Float32Array.from(inputs, (byte) => byte / 255),
      width: inputs.length / samples,
    });
    results['16 principal components'] =
      `squared error ${componentsError(rowsOf(parts[0]), rowsOf(parts[1]), 16).toFixed(4)}`;
  }
  for (const [name, figure] of Object.entries(results)) console.log(`${path}: ${name}: ${figure}`);
}

function inputsOf({ layers }: Model): number {
  return layers.filter(({ part }) => part).length;
}

/** How often the second image of three is closer to the first than the third is, by the squares of differences of pixels. */
function closer({ inputs, samples }: Part): number {
  const pixels = inputs.length / samples / 3;
  let right = 0;
  for (let sample = 0; sample < samples; sample++) {
    let sooner = 0;
    for (let i = 3 * sample * pixels, end = i + pixels; i < end; i++)
      sooner += (inputs[i]! - inputs[i + 2 * pixels]!) ** 2 - (inputs[i]! - inputs[i + pixels]!) ** 2;
    if (sooner > 0) right++;
  }
  return right / samples;
}

function count(values: ArrayLike<number>, kinds: number): number[] {
  const counts = new Array<number>(kinds).fill(0);
  for (let i = 0; i < values.length; i++) counts[values[i]!]!++;
  return counts;
}

/** Mean absolute error, in the units that the network is trained in. */
function error({ targets, samples }: Part, predict: (sample: number) => number): string {
  const each = targets.length / samples;
  let sum = 0;
  for (let i = 0; i < targets.length; i++) sum += Math.abs(targets[i]! - predict(Math.floor(i / each)));
  return `mean absolute error ${(sum / targets.length).toFixed(4)}`;
}

/**
 * Mean -log p of the test part's targets. p is the weighted sum of the estimates of all orders up to this one, the weights being
 * the best of a grid on the last tenth of the training part, whose counts are of the rest; then all of it is counted.
 */
function ngram(train: Part, test: Part, order: number, tokens: number): number {
  const stream = { train: whole(train), test: whole(test) };
  const cut = Math.floor(0.9 * stream.train.length);
  const held = model(stream.train.subarray(0, cut), order, tokens);
  const grid = weights(order);
  const scores = grid.map((each) => loss(held, stream.train.subarray(cut), each, order));
  const best = grid[scores.indexOf(Math.min(...scores))]!;
  return loss(model(stream.train, order, tokens), stream.test, best, order);
}

/** Windows that follow one another without overlap, as one stream: the inputs, and the target of the last. */
function whole({ inputs, targets }: Part): Int32Array {
  const stream = new Int32Array(inputs.length + 1);
  stream.set(inputs);
  stream[inputs.length] = targets.at(-1)!;
  return stream;
}

/** All ways of sharing 1 among the orders in steps of a twentieth; something is left for the uniform distribution. */
function weights(order: number): number[][] {
  const steps = 20;
  const share = (parts: number, left: number): number[][] =>
    parts === 1
      ? [[left]]
      : Array.from({ length: left + 1 }, (_, n) =>
          share(parts - 1, left - n).map((rest) => [n, ...rest]),
        ).flat();
  return share(order, steps).map((list) => list.map((n) => (0.999 * n) / steps));
}

/** p(token | the n - 1 before it) by counting, for each n up to the order; index 0 is for no context. */
function model(stream: Int32Array, order: number, tokens: number) {
  const orders = Array.from({ length: order }, () => ({
    with: new Map<number, number>(),
    of: new Map<number, number>(),
  }));
  const add = (map: Map<number, number>, key: number) => map.set(key, (map.get(key) ?? 0) + 1);
  for (let i = order - 1; i < stream.length; i++) {
    let context = 0;
    for (const [n, counts] of orders.entries()) {
      if (n > 0) context = context * tokens + stream[i - n]! + 1;
      add(counts.of, context);
      add(counts.with, context * tokens + stream[i]!);
    }
  }
  return (stream: Int32Array, i: number): number[] => {
    let context = 0;
    return orders.map((counts, n) => {
      if (n > 0) context = context * tokens + stream[i - n]! + 1;
      const of = counts.of.get(context);
      return of === undefined ? 1 / tokens : (counts.with.get(context * tokens + stream[i]!) ?? 0) / of;
    });
  };
}

function loss(p: ReturnType<typeof model>, stream: Int32Array, weights: number[], order: number): number {
  let sum = 0;
  for (let i = order - 1; i < stream.length; i++) {
    const estimates = p(stream, i);
    sum -= Math.log(weights.reduce((total, weight, n) => total + weight * estimates[n]!, 0.001 / 256));
  }
  return sum / (stream.length - order + 1);
}

/** How many texts it gets right. */
function naiveBayes(train: Part, test: Part, classes: number): number {
  const context = train.inputs.length / train.samples;
  const tokens = Math.max(...new Set(train.inputs), ...new Set(test.inputs)) + 1;
  const counts = Array.from({ length: classes }, () => new Float64Array(tokens).fill(1));
  const texts = count(train.targets, classes);
  for (const [i, token] of train.inputs.entries()) {
    if (token > 0) counts[train.targets[Math.floor(i / context)]!]![token]!++;
  }
  const totals = counts.map((list) => list.reduce((sum, value) => sum + value, 0));
  let right = 0;
  for (let sample = 0; sample < test.samples; sample++) {
    const own = test.inputs.subarray(sample * context, (sample + 1) * context);
    const scores = counts.map((list, label) => {
      let score = Math.log(texts[label]! / train.samples);
      for (const token of own) if (token > 0) score += Math.log(list[token]! / totals[label]!);
      return score;
    });
    if (scores.indexOf(Math.max(...scores)) === test.targets[sample]) right++;
  }
  return right;
}
