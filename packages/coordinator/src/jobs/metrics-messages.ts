/** The first messages of `WatchMetrics`: the job's layers and job file, then its metrics so far, each of a moderate size. */
import type { WatchMetricsResponse } from '@kasane/protocol/gen/kasane/v1/jobs';
import { checkJob } from '@kasane/protocol/job';
import { summarizeLayers } from '@kasane/tensor/nn/summary';
import { inMessages, type MetricsHistory } from '../store/metrics.ts';

/** @param spec the checked job, JSON */
export function metricsMessages(
  spec: string,
  { points, gradients, activations }: MetricsHistory,
): WatchMetricsResponse[] {
  const layers = summarizeLayers(checkJob(JSON.parse(spec)).model).map((layer) => ({
    ...layer,
    outputShape: [...layer.outputShape],
    from: [...layer.from],
  }));
  const first: WatchMetricsResponse[] = [{ ...noMetrics(), layers, spec, more: true }];
  for (const part of inMessages(points)) first.push({ ...noMetrics(), points: part, more: true });
  for (const one of gradients) first.push({ ...noMetrics(), gradients: [one], more: true });
  for (const one of activations) first.push({ ...noMetrics(), activations: [one], more: true });
  return [...first, noMetrics()];
}

/** An empty message, to be filled. */
export const noMetrics = (): WatchMetricsResponse => ({
  layers: [],
  spec: '',
  points: [],
  more: false,
  gradients: [],
  activations: [],
});
