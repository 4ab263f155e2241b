/**
 * What a test counts beside the loss and the metric of its objective, and how its further metrics (test-metrics.ts) follow from that.
 * Tallies of parts of a test add up to that of the whole.
 */
import type { Objective, ObjectiveName } from './objective.ts';
import { CONFUSION_CLASSES, MOST_OUTPUTS, type TestMetrics, testMetricsOf } from './test-metrics.ts';

/** What precision and recall of a class follow from. */
export interface ClassCounts {
  /** Samples that are of the class. */
  readonly actual: number;
  /** Samples that the model takes for it. */
  readonly predicted: number;
  /** Samples that are both. */
  readonly hits: number;
}

/** Figures of one class, each between 0 and 1. 0 where the model predicts it never (precision), or no sample is of it (recall). */
export interface ClassScores extends ClassCounts {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/**
 * Precision, recall and F1 of a class: hits / predicted, hits / actual, and 2 hits / (predicted + actual), their harmonic mean
 * (van Rijsbergen 1979, chapter 7).
 */
export function classScores({ actual, predicted, hits }: ClassCounts): ClassScores {
  const of = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  return {
    ...{ actual, predicted, hits },
    precision: of(hits, predicted),
    recall: of(hits, actual),
    f1: of(2 * hits, predicted + actual),
  };
}

/** Numbers of a tally: whole ones in `counts`, others in `sums`. */
export interface TallyNumbers {
  readonly counts: ArrayLike<number>;
  readonly sums: ArrayLike<number>;
}

/** How many numbers of each kind a tally has. @param outputs scores of a sample */
export function tallySize(objective: ObjectiveName, outputs: number): { counts: number; sums: number } {
  const isCounted = testMetricsOf(objective, outputs).length > 0;
  if (!isCounted || objective === 'next-token') return { counts: 0, sums: 0 };
  if (objective === 'regression') return { counts: 0, sums: 3 * outputs };
  if (objective === 'binary') return { counts: 3 * countedApart(outputs), sums: 0 };
  return { counts: 3 * outputs + 1 + (outputs <= CONFUSION_CLASSES ? outputs ** 2 : 0), sums: 0 };
}

/** Of outputs that are each a yes or no, those that are counted apart: all of them, or, of a large mask, 1 for all of its pixels. */
const countedApart = (outputs: number): number => (outputs > MOST_OUTPUTS ? 1 : outputs);

/**
 * The tally of a test, or of part of one.
 *
 * counts, with `outputs` numbers of each: samples of the class, predictions of it, both; then, of a classifier, the samples whose class
 * is among the five largest scores, and the confusion matrix [actual, predicted] if it is small enough. Of a binary objective with more
 * outputs than MOST_OUTPUTS three numbers, for all outputs together.
 * sums, of a regression, with `outputs` numbers of each: squared errors, targets, squared targets.
 */
export class Tally implements TallyNumbers {
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly #objective: ObjectiveName;
  readonly #outputs: number;

  constructor(objective: ObjectiveName, outputs: number) {
    const { counts, sums } = tallySize(objective, outputs);
    this.counts = new Float64Array(counts);
    this.sums = new Float64Array(sums);
    this.#objective = objective;
    this.#outputs = outputs;
  }

  /**
   * Takes in samples, in their order.
   * @param scores row-major [samples, outputs], as the model gives them
   * @param targets class numbers [samples] of a classification, otherwise [samples, outputs]
   */
  add(scores: ArrayLike<number>, targets: ArrayLike<number>, samples: number): void {
    if (this.counts.length + this.sums.length === 0) return;
    const add = { classification: this.#addClass, binary: this.#addYesNo, regression: this.#addNumbers };
    const one = add[this.#objective as keyof typeof add];
    for (let sample = 0; sample < samples; sample++) one.call(this, scores, targets, sample);
  }

  /** Adds a tally of the same kind: of a later part of the test. */
  merge({ counts, sums }: TallyNumbers): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += counts[i]!;
    for (let i = 0; i < this.sums.length; i++) this.sums[i]! += sums[i]!;
  }

  #addClass(scores: ArrayLike<number>, targets: ArrayLike<number>, sample: number): void {
    const n = this.#outputs;
    const row = sample * n;
    const actual = targets[sample]!;
    const own = scores[row + actual]!;
    let [best, ahead] = [0, 0];
    this.counts[actual]!++;
    for (let c = 0; c < n; c++) {
      const score = scores[row + c]!;
      // A score that is no number predicts nothing.
      if (Number.isNaN(score)) return;
      if (score > scores[row + best]!) best = c;
      if (score > own || (score === own && c < actual)) ahead++;
    }
    this.counts[n + best]!++;
    if (best === actual) this.counts[2 * n + actual]!++;
    if (ahead < 5) this.counts[3 * n]!++;
    if (n <= CONFUSION_CLASSES) this.counts[3 * n + 1 + actual * n + best]!++;
  }

  #addYesNo(scores: ArrayLike<number>, targets: ArrayLike<number>, sample: number): void {
    const [n, apart] = [this.#outputs, countedApart(this.#outputs)];
    for (let output = 0; output < n; output++) {
      const is = targets[sample * n + output]! > 0.5;
      const says = scores[sample * n + output]! > 0;
      const c = output % apart;
      if (is) this.counts[c]!++;
      if (says) this.counts[apart + c]!++;
      if (is && says) this.counts[2 * apart + c]!++;
    }
  }

  #addNumbers(scores: ArrayLike<number>, targets: ArrayLike<number>, sample: number): void {
    const n = this.#outputs;
    for (let output = 0; output < n; output++) {
      const target = targets[sample * n + output]!;
      this.sums[output]! += (scores[sample * n + output]! - target) ** 2;
      this.sums[n + output]! += target;
      this.sums[2 * n + output]! += target ** 2;
    }
  }
}

/** Figures of each class of a classifier, or of each output of a binary objective whose outputs are counted apart. */
export function scoresOfClasses({ counts }: TallyNumbers, outputs: number): ClassScores[] {
  return Array.from({ length: outputs }, (_, c) =>
    classScores({ actual: counts[c]!, predicted: counts[outputs + c]!, hits: counts[2 * outputs + c]! }),
  );
}

/** How often samples of each class are taken for each: rows are actual classes. Undefined where there are too many classes. */
export function confusionOf({ counts }: TallyNumbers, classes: number): number[][] | undefined {
  if (classes > CONFUSION_CLASSES) return undefined;
  const all = Array.from(counts).slice(3 * classes + 1);
  return Array.from({ length: classes }, (_, c) => all.slice(c * classes, (c + 1) * classes));
}

/** Why no test of so many samples can have this tally; undefined: one can. @param outputs scores of a sample; 0 where there was no test */
export function whyImpossibleTally(
  objective: ObjectiveName,
  outputs: number,
  { counts, sums }: TallyNumbers,
  samples: number,
): string | undefined {
  const size = outputs === 0 ? { counts: 0, sums: 0 } : tallySize(objective, outputs);
  if (counts.length !== size.counts || sums.length !== size.sums)
    return `its tally has ${counts.length} counts and ${sums.length} sums; expected ${size.counts} and ${size.sums}`;
  const apart = objective === 'binary' ? countedApart(outputs) : outputs;
  const most = apart === outputs ? samples : samples * outputs;
  const tooMany = Array.from(counts).find((count) => count > most);
  if (tooMany !== undefined)
    return `its tally counts ${tooMany} of ${most} ${most === samples ? 'samples' : 'outputs'}`;
  if (objective === 'regression') return whyImpossibleSums(sums, outputs, samples);
  if (size.counts === 0) return undefined;
  for (let c = 0; c < apart; c++) {
    const [actual, predicted, hits] = [0, 1, 2].map((part) => counts[part * apart + c]!) as [
      number,
      number,
      number,
    ];
    if (hits > Math.min(actual, predicted))
      return `its tally counts ${hits} samples of class ${c} that were found, of ${actual} that there are and ${predicted} predictions`;
  }
  return objective === 'classification' ? whyImpossibleClasses(counts, outputs, samples) : undefined;
}

/** The same of a classification: each sample is of one class, and taken for one at most, none where scores are no numbers. */
function whyImpossibleClasses(
  counts: ArrayLike<number>,
  classes: number,
  samples: number,
): string | undefined {
  const total = (from: number, step: number, length = classes) =>
    Array.from({ length }, (_, i) => counts[from + i * step]!).reduce((sum, count) => sum + count, 0);
  const [actual, predicted, hits] = [0, 1, 2].map((part) => total(part * classes, 1)) as [
    number,
    number,
    number,
  ];
  const top5 = counts[3 * classes]!;
  if (actual !== samples) return `its tally has classes of ${actual} samples, not of ${samples}`;
  if (predicted > samples) return `its tally has ${predicted} predictions of ${samples} samples`;
  if (top5 < hits || top5 > predicted)
    return `its tally has ${top5} samples whose class is among the first five, of ${predicted} predictions, ${hits} of them right`;
  if (classes > CONFUSION_CLASSES) return undefined;
  const matrix = 3 * classes + 1;
  for (let c = 0; c < classes; c++)
    if (
      counts[matrix + c * classes + c] !== counts[2 * classes + c] ||
      total(matrix + c, classes) !== counts[classes + c] ||
      total(matrix + c * classes, 1) > counts[c]!
    )
      return `its tally's confusion matrix does not add up to what it counts of class ${c}`;
  return undefined;
}

/** The same of a regression, whose sums may have overflowed. */
function whyImpossibleSums(sums: ArrayLike<number>, outputs: number, samples: number): string | undefined {
  for (let output = 0; output < outputs; output++) {
    const [errors, total, squares] = [0, 1, 2].map((part) => sums[part * outputs + output]!) as [
      number,
      number,
      number,
    ];
    // By Cauchy and Schwarz, but for what rounding leaves.
    if (errors < 0 || squares < 0 || total ** 2 > samples * squares * (1 + 1e-6))
      return `its tally's squares of output ${output} cannot be: errors ${errors}, targets ${squares}, whose sum is ${total}`;
  }
  return undefined;
}

/**
 * The metrics of a whole test.
 *
 * - precision, recall, f1: mean over the classes that occur or are predicted (macro average), or over the outputs.
 * - iou: of all outputs of all samples those that are yes and taken for it, by those that are either (Jaccard 1912; micro average).
 * - rmse: root of the mean squared error, over all outputs. r2: 1 - (squared errors) / (squared distances of the targets from their
 *   mean), averaged over the outputs whose targets differ; absent if there is none.
 * - perplexity: exp of the mean cross-entropy of a token.
 *
 * One that is not finite, since the model has overflowed, is absent: what keeps them as JSON could not tell it from another.
 *
 * @param samples of the test
 * @param loss its mean loss
 */
export function testMetrics(
  { type }: Pick<Objective, 'type'>,
  outputs: number,
  tally: TallyNumbers,
  test: { readonly samples: number; readonly loss: number },
): TestMetrics {
  return finiteMetrics(allMetrics(type, outputs, tally, test));
}

/** Those that are finite numbers. What an earlier version kept of others is null. */
export const finiteMetrics = (metrics: TestMetrics): TestMetrics =>
  Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));

function allMetrics(
  type: ObjectiveName,
  outputs: number,
  tally: TallyNumbers,
  { samples, loss }: { readonly samples: number; readonly loss: number },
): TestMetrics {
  if (testMetricsOf(type, outputs).length === 0) return {};
  if (type === 'next-token') return { perplexity: Math.exp(loss) };
  if (type === 'regression') return errorMetrics(tally, outputs, samples);
  if (type === 'binary' && outputs > MOST_OUTPUTS) return { iou: overlapOf(tally) };
  const occurring = scoresOfClasses(tally, outputs).filter(
    ({ actual, predicted }) => type === 'binary' || actual + predicted > 0,
  );
  const over = (of: (scores: ClassScores) => number) =>
    occurring.reduce((sum, scores) => sum + of(scores), 0) / Math.max(1, occurring.length);
  return {
    precision: over(({ precision }) => precision),
    recall: over(({ recall }) => recall),
    f1: over(({ f1 }) => f1),
    ...(type === 'binary' && { iou: overlapOf(tally) }),
    ...(testMetricsOf(type, outputs).includes('top5Accuracy') && {
      top5Accuracy: tally.counts[3 * outputs]! / samples,
    }),
  };
}

/** Of a binary objective: intersection over union. 0 where nothing is yes, nor taken for it. */
function overlapOf({ counts }: TallyNumbers): number {
  const apart = counts.length / 3;
  const [actual, predicted, hits] = [0, 1, 2].map((part) =>
    Array.from({ length: apart }, (_, c) => counts[part * apart + c]!).reduce((sum, count) => sum + count, 0),
  ) as [number, number, number];
  return hits / Math.max(1, actual + predicted - hits);
}

function errorMetrics({ sums }: TallyNumbers, outputs: number, samples: number): TestMetrics {
  let [squares, explained, varying] = [0, 0, 0];
  for (let output = 0; output < outputs; output++) {
    const [errors, total, totalOfSquares] = [0, 1, 2].map((part) => sums[part * outputs + output]!) as [
      number,
      number,
      number,
    ];
    squares += errors;
    const spread = totalOfSquares - total ** 2 / samples;
    // What rounding leaves of targets that are all equal is no spread.
    if (spread <= 1e-12 * totalOfSquares) continue;
    explained += 1 - errors / spread;
    varying++;
  }
  const rmse = Math.sqrt(squares / (samples * outputs));
  return { rmse, ...(varying > 0 && { r2: explained / varying }) };
}
