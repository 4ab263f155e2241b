/** Metrics of a test beside loss and metric, for people. */
import {
  type TestMetricName,
  type TestMetrics,
  testMetricNames,
  testMetricText,
} from '@kasane/tensor/internal/test-metrics';

const titles: Readonly<Record<TestMetricName, string>> = {
  precision: 'precision',
  recall: 'recall',
  f1: 'F1',
  iou: 'intersection over union',
  top5Accuracy: 'top-5 accuracy',
  rmse: 'root mean squared error',
  r2: 'R²',
  perplexity: 'perplexity',
};

/**
 * "Precision 98.41 %, recall 98.40 %, F1 98.40 %"; undefined where there are none.
 * @param unitOf says the unit of an error, behind its number
 */
export function testMetricsLine(
  metrics: TestMetrics = {},
  unitOf: (error: number) => string = () => '',
): string | undefined {
  const told = testMetricNames.flatMap((name) => {
    const value = metrics[name];
    if (value === undefined) return [];
    return [`${titles[name]} ${testMetricText(name, value)}${name === 'rmse' ? unitOf(value) : ''}`];
  });
  const line = told.join(', ');
  return line === '' ? undefined : line[0]!.toUpperCase() + line.slice(1);
}
