/** The metrics of a test beside the one of its objective: what they are called, and which a job has. */

import type { ObjectiveName } from './objective.ts';
import { percentText } from './percent.ts';

/** How a metric reads: which values are better, and whether it is a part of something, which is shown as a percentage. */
interface TestMetricForm {
  readonly better: 'higher' | 'lower';
  readonly isFraction: boolean;
}

const fraction: TestMetricForm = { better: 'higher', isFraction: true };

/** In the order in which they are shown. */
export const testMetricForms = {
  precision: fraction,
  recall: fraction,
  f1: fraction,
  iou: fraction,
  top5Accuracy: fraction,
  rmse: { better: 'lower', isFraction: false },
  /** At most 1, and negative where the mean of the targets would be a better prediction. */
  r2: { better: 'higher', isFraction: false },
  perplexity: { better: 'lower', isFraction: false },
} satisfies Readonly<Record<string, TestMetricForm>>;

export type TestMetricName = keyof typeof testMetricForms;
export type TestMetrics = { readonly [N in TestMetricName]?: number | undefined };
export const testMetricNames = Object.keys(testMetricForms) as TestMetricName[];

/** Classifiers of at most so many classes have a confusion matrix. */
export const CONFUSION_CLASSES = 100;
/** With at most so many classes, top-5 accuracy says little. */
const TOP5_MORE_THAN = 10;
/** Models with more classes or outputs have none of the metrics for which each of them is counted. */
export const MOST_OUTPUTS = 2_000;

/** The metrics of an objective's tests. @param outputs scores of a sample: classes of a classifier */
export function testMetricsOf(objective: ObjectiveName, outputs: number): readonly TestMetricName[] {
  if (objective === 'next-token') return ['perplexity'];
  if (objective === 'binary' && outputs > MOST_OUTPUTS) return ['iou'];
  if (objective === 'masked-token' || objective === 'own' || outputs > MOST_OUTPUTS) return [];
  if (objective === 'regression') return ['rmse', 'r2'];
  if (objective === 'binary') return ['precision', 'recall', 'f1', 'iou'];
  const top5 = objective === 'classification' && outputs > TOP5_MORE_THAN;
  return ['precision', 'recall', 'f1', ...(top5 ? (['top5Accuracy'] as const) : [])];
}

/** For people: 98.23 %, or four digits of what is no fraction. */
export const testMetricText = (name: TestMetricName, value: number): string =>
  testMetricForms[name].isFraction ? percentText(value) : value.toPrecision(4);
