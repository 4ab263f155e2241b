/** Who computed which shard of which step: a column a step, a row a shard, a colour a worker. */
import type { StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import { color, h } from './dom.ts';
import { grouped, hueOf } from './format.ts';
import type { Page } from './view.ts';

const CELL = 14;
/** Workers in the legend. */
const NAMED = 24;

export const workersOf = (points: readonly StepMetrics[]): string[] =>
  [...new Set(points.flatMap(({ workers }) => workers))].sort();
export const colorOf = (index: number): string => `hsl(${hueOf(index)} 60% 52%)`;

/** @param chosen step that is marked; a click on another calls `choose` */
export function timeline(
  points: readonly StepMetrics[],
  chosen: number,
  { t }: Page,
  choose: (step: number) => void,
): HTMLElement {
  const names = workersOf(points);
  const rows = Math.max(...points.map(({ workers }) => workers.length));
  const height = Math.max(3, Math.min(CELL, Math.floor(400 / rows)));
  const canvas = h('canvas', {
    role: 'img',
    class: 'timeline',
    'aria-label': `${t.timeline}: ${names.length} ${t.worker}, ${t.step} ${grouped(points[0]!.step)} - ${grouped(points.at(-1)!.step)}`,
    click: (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      const at = Math.floor((((event as MouseEvent).clientX - left) / width) * points.length);
      const point = points[Math.max(0, Math.min(points.length - 1, at))];
      if (point) choose(point.step);
    },
  });
  canvas.width = points.length * CELL;
  canvas.height = rows * height + 6;
  const context = canvas.getContext('2d')!;
  const indexOf = new Map(names.map((name, index) => [name, index]));
  for (const [column, { workers, shards, step }] of points.entries()) {
    const slowest = Math.max(...shards.map(({ answeredMs }) => answeredMs));
    for (const [shard, worker] of workers.entries()) {
      context.fillStyle = colorOf(indexOf.get(worker)!);
      // How long it took, beside the slowest of its step.
      context.globalAlpha =
        0.35 + 0.65 * Math.min(1, (shards[shard]?.answeredMs ?? slowest) / (slowest || 1));
      context.fillRect(column * CELL, shard * height, CELL - 1, height - (height > 4 ? 1 : 0));
      if ((shards[shard]?.attempt ?? 1) > 1) {
        context.globalAlpha = 1;
        context.fillStyle = color('--bad');
        context.fillRect(column * CELL + 4, shard * height + height / 2 - 2, 5, 4);
      }
    }
    context.globalAlpha = 1;
    if (step === chosen) {
      context.fillStyle = color('--text');
      context.fillRect(column * CELL, rows * height + 2, CELL - 1, 4);
    }
  }
  const legend = names
    .slice(0, NAMED)
    .map((name, index) => h('span', {}, h('i', { style: `background: ${colorOf(index)}` }), name));
  return h(
    'div',
    {},
    h('div', { class: 'scroll', tabindex: 0, 'data-key': 'timeline' }, canvas),
    h('div', { class: 'legend' }, ...legend, names.length > NAMED && `+ ${names.length - NAMED}`),
  );
}
