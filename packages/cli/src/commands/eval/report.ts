/** What `kasane eval` says beyond loss and metric: the figures of each class, and which classes are taken for which. */
import { classNamesOf, type Preparation } from '@kasane/data/dataset';
import type { Job } from '@kasane/protocol/job';
import { rocAuc } from '@kasane/tensor/internal/nn/metrics';
import { softmax } from '@kasane/tensor/internal/probabilities';
import {
  type ClassScores,
  confusionOf,
  scoresOfClasses,
  Tally,
  testMetrics,
} from '@kasane/tensor/internal/tally';
import { type TestMetrics, testMetricsOf } from '@kasane/tensor/internal/test-metrics';
import { type Shape, sizeOf, stridesOf } from '@kasane/tensor/shape';
import { csvLine } from '../../render/csv.ts';
import { percent } from '../../render/job.ts';
import { table } from '../../render/table.ts';

/** Scores that are kept for the areas under ROC curves, at most: 80 MB. */
const KEPT_SCORES = 10_000_000;
/** Lines of the table of classes. */
const SHOWN_CLASSES = 20;

/** One class of a classifier, or one output of a binary objective, such as a pixel of masks. */
export interface ClassReport extends Omit<ClassScores, 'actual'> {
  /** Of an output with several axes, its place, such as [3, 0, 0]. */
  readonly name: string;
  /** Those that are of the class, or of which the output is to be yes. */
  readonly samples: number;
  /** Of the class against all others; null where no sample, or every one, is of it, or the test is too large. */
  readonly rocAuc: number | null;
}

/** What `--json` adds. */
export interface TestRecord {
  readonly metrics: TestMetrics;
  /** Of classifiers and binary objectives that are not too large. */
  readonly classes?: readonly ClassReport[];
  /** Rows are the classes that samples are of, columns those that they are taken for. */
  readonly confusion?: readonly (readonly number[])[];
}

/** Takes in the scores of a test, batch by batch. */
export class TestReport {
  readonly #objective: Job['objective'];
  readonly #outputs: number;
  readonly #isClassifier: boolean;
  readonly #tally: Tally;
  readonly #names: readonly string[];
  readonly #shape: Shape;
  /** Of each output the probability that each sample is of it, and whether it is: [outputs][samples]. */
  readonly #kept: { readonly probabilities: Float64Array; readonly is: Uint8Array }[];
  #samples = 0;

  /** @param samples of the whole test */
  constructor(
    { model, objective }: Pick<Job, 'model' | 'objective'>,
    preparation: Preparation,
    samples: number,
  ) {
    this.#objective = objective;
    this.#outputs = sizeOf(model.outputShape);
    this.#shape = model.outputShape;
    this.#isClassifier = objective.type === 'classification';
    this.#tally = new Tally(objective.type, this.#outputs);
    this.#names = classNamesOf(preparation) ?? preparation.table?.targets.map(({ name }) => name) ?? [];
    const isKept = this.#isEach && samples * this.#outputs <= KEPT_SCORES;
    this.#kept = Array.from({ length: isKept ? this.#outputs : 0 }, () => ({
      probabilities: new Float64Array(samples),
      is: new Uint8Array(samples),
    }));
  }

  /** @param scores row-major [samples, ...output] @param targets as the program takes them */
  add(scores: Float32Array, targets: ArrayLike<number>, samples: number): void {
    this.#tally.add(scores, targets, samples);
    for (let sample = 0; this.#kept.length > 0 && sample < samples; sample++) {
      const row = scores.subarray(sample * this.#outputs, (sample + 1) * this.#outputs);
      // Scores of one sample are compared with those of others: as probabilities, unless each is one of its own.
      const probabilities = this.#isClassifier ? softmax(row) : row;
      for (const [output, { probabilities: kept, is }] of this.#kept.entries()) {
        kept[this.#samples + sample] = probabilities[output]!;
        is[this.#samples + sample] = this.#isClassifier
          ? Number(targets[sample] === output)
          : Number(targets[sample * this.#outputs + output]! > 0.5);
      }
    }
    this.#samples += samples;
  }

  /** As `--json` has it. @param loss of the whole test */
  record(loss: number): TestRecord {
    const outputs = this.#outputs;
    const metrics = testMetrics(this.#objective, outputs, this.#tally, { samples: this.#samples, loss });
    if (!this.#isEach) return { metrics };
    const classes = scoresOfClasses(this.#tally, outputs).map(({ actual, ...scores }, c): ClassReport => {
      const kept = this.#kept[c];
      const area = kept ? rocAuc(kept.probabilities, kept.is) : Number.NaN;
      return { name: this.#nameOf(c), samples: actual, ...scores, rocAuc: Number.isNaN(area) ? null : area };
    });
    const confusion = this.#isClassifier ? confusionOf(this.#tally, outputs) : undefined;
    return { metrics, classes, ...(confusion && { confusion }) };
  }

  /** Whether each class or output is counted. */
  get #isEach(): boolean {
    return testMetricsOf(this.#objective.type, this.#outputs).includes('f1');
  }

  #nameOf = (index: number): string => {
    if (this.#isClassifier || this.#shape.length === 1) return this.#names[index] ?? String(index);
    const place = stridesOf(this.#shape).map(
      (stride, axis) => Math.floor(index / stride) % this.#shape[axis]!,
    );
    return `[${place.join(', ')}]`;
  };
}

/**
 * The table of classes, for people: the worst ones, where there are many.
 * @param outputs of a binary objective: the shape of its outputs, which are no classes. Where they have places, such as the pixels of
 * masks, a table of the worst places would tell nobody anything
 */
export function classTable({ classes, confusion }: TestRecord, outputs?: Shape): readonly string[] {
  if (!classes || classes.length < 2) return [];
  if (outputs && outputs.length > 1)
    return [
      `Precision, recall and F1 are averaged over the ${classes.length} outputs [${outputs.join(', ')}]; --json has those of each`,
    ];
  const isLong = classes.length > SHOWN_CLASSES;
  const order = classes.map((of, index) => ({ of, index }));
  if (isLong) order.sort((a, b) => a.of.f1 - b.of.f1 || a.index - b.index);
  const shown = order.slice(0, SHOWN_CLASSES);
  const called = outputs ? ['OUTPUT', 'POSITIVE'] : ['CLASS', 'SAMPLES'];
  const head = [...called, 'PRECISION', 'RECALL', 'F1', 'ROC AUC'];
  const rows = shown.map(({ of, index }) => [
    of.name,
    String(of.samples),
    of.predicted === 0 ? '-' : percent(of.precision),
    of.samples === 0 ? '-' : percent(of.recall),
    percent(of.f1),
    of.rocAuc?.toFixed(4) ?? '-',
    ...(confusion ? [takenFor(confusion[index]!, index, classes)] : []),
  ]);
  const note = `the ${SHOWN_CLASSES} ${outputs ? 'outputs' : 'classes'} with the lowest F1, of ${classes.length}; --json has all`;
  return [...table(confusion ? [...head, 'TAKEN FOR'] : head, rows).split('\n'), ...(isLong ? [note] : [])];
}

/** The class that samples of this one are most often taken for, and how often: "7 (12)". */
function takenFor(row: readonly number[], own: number, classes: readonly ClassReport[]): string {
  const [most] = row
    .map((times, index) => ({ times, index }))
    .filter(({ index }) => index !== own)
    .sort((a, b) => b.times - a.times || a.index - b.index);
  return most && most.times > 0 ? `${classes[most.index]!.name} (${most.times})` : '';
}

/** The confusion matrix as CSV: a row for each class that samples are of, a column for each that they are taken for. */
export function confusionCsv({ classes = [], confusion = [] }: TestRecord): string {
  const lines = [
    csvLine(['actual', ...classes.map(({ name }) => name)]),
    ...confusion.map((row, index) => csvLine([classes[index]!.name, ...row.map(String)])),
  ];
  return `${lines.join('\n')}\n`;
}
