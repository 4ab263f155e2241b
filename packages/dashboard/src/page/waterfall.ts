/** One step as a waterfall: each shard's phases, then what the coordinator does with the gradients. */
import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { h, svg } from './dom.ts';
import { milliseconds } from './format.ts';
import { PHASES, phasesOf } from './phases.ts';
import type { Page } from './view.ts';

const [LABEL, WIDTH, ROW] = [150, 900, 20];
/** Shards that are drawn: the slowest. */
const DRAWN = 40;

const colors = {
  queue: '#9aa3b2',
  data: '#b98ae0',
  parameters: '#4fb3d9',
  slot: '#d9b44f',
  compute: '#4f7cff',
  gradients: '#35b27d',
  reduce: '#e07b2e',
  update: '#c2556f',
} as const;

export function waterfall(point: StepMetrics, { t }: Page): HTMLElement {
  const { shards, workers, reduceMs, applyMs, publishMs } = point;
  const answered = Math.max(...shards.map(({ answeredMs }) => answeredMs));
  const end = Math.max(point.stepMs, answered + reduceMs + applyMs + publishMs) || 1;
  const x = (ms: number) => LABEL + ((WIDTH - LABEL - 10) * ms) / end;
  const bar = (row: number, from: number, ms: number, kind: keyof typeof colors, title: string) =>
    ms > 0
      ? svg(
          'rect',
          {
            ...{ x: x(from).toFixed(1), y: row * ROW + 4, height: ROW - 7, rx: 2 },
            ...{ width: Math.max(1, x(from + ms) - x(from)).toFixed(1), fill: colors[kind] },
          },
          svg('title', {}, `${title}: ${t.phase[kind]} ${milliseconds(ms)}`),
        )
      : undefined;
  const label = (row: number, text: string) =>
    svg('text', { x: 0, y: row * ROW + 15 }, text.length > 22 ? `${text.slice(0, 21)}…` : text);
  const order = shards.map((_, shard) => shard);
  if (order.length > DRAWN) order.sort((a, b) => shards[b]!.answeredMs - shards[a]!.answeredMs).splice(DRAWN);
  const rows = order.flatMap((shard, row) => {
    const phases = phasesOf(shards[shard]!);
    let from = 0;
    const bars = PHASES.map((phase) => {
      const made = bar(row, from, phases[phase], phase, `${t.shard} ${shard}, ${workers[shard]}`);
      from += phases[phase];
      return made;
    });
    return [label(row, `${shard}: ${workers[shard]}`), ...bars];
  });
  const last = order.length;
  rows.push(
    label(last, t.phase.reduce),
    bar(last, answered, reduceMs, 'reduce', t.phase.reduce),
    bar(last, answered + reduceMs, applyMs + publishMs, 'update', t.phase.update),
  );
  const picture = svg(
    'svg',
    {
      ...{ viewBox: `0 0 ${WIDTH} ${(last + 1) * ROW + 4}`, class: 'waterfall', role: 'img' },
      'aria-label': `${t.waterfall(String(point.step))}: ${milliseconds(point.stepMs)}`,
    },
    ...rows,
  );
  const legend = (Object.keys(colors) as (keyof typeof colors)[]).map((kind) =>
    h('span', {}, h('i', { style: `background: ${colors[kind]}` }), t.phase[kind]),
  );
  return h(
    'div',
    {},
    h('div', { class: 'scroll', tabindex: 0, 'data-key': 'waterfall' }, picture),
    h('div', { class: 'legend' }, ...legend),
  );
}
