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
  top5Accuracy: 'top-5 accuracy',
  rmse: 'root mean squared error',
  r2: 'R²',
  perplexity: 'perplexity',
};

/** "Precision 98.41 %, recall 98.40 %, F1 98.40 %"; undefined where there are none. */
export function testMetricsLine(metrics: TestMetrics = {}): string | undefined {
  const told = testMetricNames.flatMap((name) => {
    const value = metrics[name];
    return value === undefined ? [] : [`${titles[name]} ${testMetricText(name, value)}`];
  });
  const line = told.join(', ');
  return line === '' ? undefined : line[0]!.toUpperCase() + line.slice(1);
}
