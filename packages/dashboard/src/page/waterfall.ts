/** One step as a waterfall: each task's phases, then what the coordinator does with the gradients. */
import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { h, svg } from './dom.ts';
import { milliseconds } from './format.ts';
import { PHASES, phasesOf } from './phases.ts';
import type { Page } from './view.ts';

const ROW = 20;
/** Widths in pixels of the page, so that texts have their size at every width: of the labels at most, of the whole at least and at most. */
const [LABEL, LEAST, MOST] = [150, 320, 1600];
/** Of a letter of a label, about. */
const LETTER = 6.8;
/** Between two times on the axis, at least. */
const TICK = 80;
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

/** @param room width that there is, in pixels */
export function waterfall(point: StepMetrics, { t }: Page, room: number): HTMLElement {
  const width = Math.max(LEAST, Math.min(MOST, room));
  const labels = Math.min(LABEL, Math.round(0.3 * width));
  const { shards, workers, reduceMs, applyMs, publishMs } = point;
  const answered = Math.max(...shards.map(({ answeredMs }) => answeredMs));
  const end = Math.max(point.stepMs, answered + reduceMs + applyMs + publishMs) || 1;
  const x = (ms: number) => labels + ((width - labels - 10) * ms) / end;
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
  const letters = Math.floor(labels / LETTER);
  const label = (row: number, text: string) =>
    svg('text', { x: 0, y: row * ROW + 15 }, text.length > letters ? `${text.slice(0, letters - 1)}…` : text);
  const order = shards.map((_, shard) => shard);
  if (order.length > DRAWN) order.sort((a, b) => shards[b]!.answeredMs - shards[a]!.answeredMs).splice(DRAWN);
  const rows = order.flatMap((shard, row) => {
    const phases = phasesOf(shards[shard]!);
    let from = 0;
    const bars = PHASES.map((phase) => {
      const made = bar(row, from, phases[phase], phase, `${t.task} ${shard}, ${workers[shard]}`);
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
  const bottom = (last + 1) * ROW + 2;
  const axis = timesUpTo(end, (width - labels) / TICK).flatMap((ms) => [
    svg('line', { x1: x(ms), x2: x(ms), y1: 0, y2: bottom }),
    svg('text', { x: x(ms), y: bottom + 13, class: 'time' }, ms === 0 ? '0' : milliseconds(ms)),
  ]);
  const picture = svg(
    'svg',
    {
      ...{ viewBox: `0 0 ${width} ${bottom + 18}`, width, class: 'waterfall', role: 'img' },
      'aria-label': `${t.waterfall(String(point.step))}: ${milliseconds(point.stepMs)}`,
    },
    ...axis,
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

/** Times on the axis: 1, 2 or 5 times a power of ten apart, at most so many. */
export function timesUpTo(end: number, most: number): number[] {
  const least = end / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= least)!;
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step);
}
