/** The kind of a metric, as it travels. */
import { type MetricKind as Kind, type MetricName, metricKindOf } from '@kasane/tensor/objective';
import { MetricKind } from '../gen/kasane/v1/common.ts';

const kinds: Readonly<Record<Kind, MetricKind>> = {
  fraction: MetricKind.METRIC_KIND_FRACTION,
  error: MetricKind.METRIC_KIND_ERROR,
};

export const metricKind = (metric: MetricName): MetricKind => kinds[metricKindOf[metric]];
