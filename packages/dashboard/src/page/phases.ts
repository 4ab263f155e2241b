/** Where the time of shards goes: the phases of each, and minimum, median and maximum by worker. */
import type { ShardMetrics, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { median } from './diagnose.ts';
import { h } from './dom.ts';
import type { Page } from './view.ts';

export const PHASES = ['queue', 'data', 'parameters', 'slot', 'compute', 'gradients'] as const;
export type Phase = (typeof PHASES)[number];
/** Milliseconds of each phase, one after the other, from the publishing of the parameters to the answer. */
export type Phases = Readonly<Record<Phase, number>>;

/** Workers in the table. */
const LISTED = 200;

export function phasesOf(shard: ShardMetrics): Phases {
  const { answeredMs, claimedMs, computeMs, slotMs, samplesMs, gradientsMs } = shard;
  const queue = Math.max(0, Math.min(claimedMs, answeredMs));
  // Samples of a task that was claimed early were fetched before its step began.
  const data = claimedMs > 0 ? samplesMs : 0;
  const gradients = Math.max(0, Math.min(gradientsMs, answeredMs));
  const rest = answeredMs - queue - data - slotMs - computeMs - gradients;
  return { queue, data, parameters: Math.max(0, rest), slot: slotMs, compute: computeMs, gradients };
}

interface Row {
  readonly worker: string;
  readonly shards: number;
  readonly compute: readonly number[];
  readonly network: readonly number[];
  readonly data: readonly number[];
  readonly total: readonly number[];
  /** The median of `total`. */
  readonly usual: number;
}

/** @returns slowest worker first */
export function phaseRows(points: readonly StepMetrics[]): Row[] {
  const byWorker = new Map<string, ShardMetrics[]>();
  for (const { workers, shards } of points) {
    for (const [index, shard] of shards.entries()) {
      const known = byWorker.get(workers[index]!);
      if (known) known.push(shard);
      else byWorker.set(workers[index]!, [shard]);
    }
  }
  const rows = [...byWorker].map(([worker, mine]) => {
    const phases = mine.map(phasesOf);
    const total = mine.map(({ answeredMs }) => answeredMs);
    return {
      worker,
      shards: mine.length,
      compute: phases.map(({ compute }) => compute),
      network: phases.map(({ parameters, gradients }) => parameters + gradients),
      // By the worker's clock, whenever it was.
      data: mine.map(({ samplesMs }) => samplesMs),
      total,
      usual: median(total),
    };
  });
  return rows.sort((a, b) => b.usual - a.usual || (a.worker < b.worker ? -1 : 1));
}

export function phaseTable(points: readonly StepMetrics[], { t }: Page): HTMLElement {
  const rows = phaseRows(points);
  const figures = (values: readonly number[]) => {
    const all = [Math.min(...values), median(values), Math.max(...values)];
    return h('td', { class: 'number' }, all.map((value) => value.toFixed(1)).join(' / '));
  };
  const slowest = rows.length > 1 ? rows[0]!.worker : '';
  const body = rows
    .slice(0, LISTED)
    .map(({ worker, shards, data, compute, network, total }) =>
      h(
        'tr',
        { class: worker === slowest ? 'warning' : undefined },
        h('td', {}, worker, worker === slowest && ` (${t.slow})`),
        h('td', { class: 'number' }, String(shards)),
        figures(data),
        figures(compute),
        figures(network),
        figures(total),
      ),
    );
  const titles = [t.worker, t.task, t.phase.data, t.phase.compute, t.phase.network, t.whole];
  const head = titles.map((title, i) =>
    h('th', { scope: 'col', class: i > 0 ? 'number' : undefined }, title),
  );
  const table = h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...body));
  return h('div', { class: 'scroll', tabindex: 0, 'data-key': 'phases' }, table);
}
