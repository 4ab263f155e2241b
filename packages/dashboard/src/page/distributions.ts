/** Distributions over time, as TensorBoard has them: a ridge for each moment, the newest in front. */
import type { Histogram } from '@kasane/protocol/gen/kasane/v1/jobs';
import { color, h } from './dom.ts';
import { grouped, small } from './format.ts';

export interface Moment {
  readonly step: number;
  readonly histogram: Histogram;
}

const [WIDTH, HEIGHT] = [420, 170];
const AXIS = 18;
/** Ridges that are drawn; of more, as many at equal distances. */
const RIDGES = 24;

/** A canvas of the distributions; its label says the range. */
export function ridges(moments: readonly Moment[], label: string): HTMLElement {
  const there = moments.filter(({ histogram }) => histogram.bins.length > 0);
  const [first, last] = [there[0], there.at(-1)];
  if (!first || !last) return h('p', { class: 'faint' }, '-');
  const shown =
    there.length <= RIDGES
      ? there
      : Array.from({ length: RIDGES }, (_, i) => there[Math.round((i * (there.length - 1)) / (RIDGES - 1))]!);
  const low = Math.min(...shown.map(({ histogram }) => histogram.low));
  const high = Math.max(...shown.map(({ histogram }) => histogram.high));
  const range = `${small(low)} ... ${small(high)}`;
  const canvas = h('canvas', {
    role: 'img',
    class: 'ridges',
    'aria-label': `${label}: ${range}, ${grouped(first.step)} - ${grouped(last.step)}`,
  });
  const density = Math.min(2, devicePixelRatio || 1);
  canvas.width = WIDTH * density;
  canvas.height = HEIGHT * density;
  const context = canvas.getContext('2d')!;
  context.scale(density, density);
  const [ground, line, text, accent] = ['--card', '--line', '--faint', '--accent'].map(color) as [
    string,
    string,
    string,
    string,
  ];
  const span = high > low ? high - low : 1;
  const x = (value: number) => 4 + ((WIDTH - 56) * (value - low)) / span;
  const floor = HEIGHT - AXIS;
  const depth = shown.length > 1 ? (floor - 60) / (shown.length - 1) : 0;
  for (const [index, { histogram }] of shown.entries()) {
    const base = floor - depth * (shown.length - 1 - index);
    const { bins } = histogram;
    const width = (histogram.high - histogram.low) / bins.length;
    context.beginPath();
    context.moveTo(x(histogram.low), base);
    for (const [bin, value] of bins.entries())
      context.lineTo(x(histogram.low + (bin + 0.5) * width), base - (52 * value) / 255);
    context.lineTo(x(histogram.high), base);
    context.closePath();
    context.globalAlpha = 0.92;
    context.fillStyle = ground;
    context.fill();
    context.globalAlpha = 0.15 + (0.35 * (index + 1)) / shown.length;
    context.fillStyle = accent;
    context.fill();
    context.globalAlpha = 0.35 + (0.65 * (index + 1)) / shown.length;
    context.strokeStyle = accent;
    context.stroke();
  }
  context.globalAlpha = 1;
  context.fillStyle = text;
  context.font = '11px system-ui, sans-serif';
  if (low < 0 && high > 0) {
    context.strokeStyle = line;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x(0), 8);
    context.lineTo(x(0), floor);
    context.stroke();
    context.fillText('0', x(0) - 3, HEIGHT - 5);
  }
  context.fillText(small(low), 4, HEIGHT - 5);
  context.textAlign = 'right';
  context.fillText(small(high), WIDTH - 52, HEIGHT - 5);
  context.textAlign = 'left';
  context.fillText(grouped(last.step), WIDTH - 46, floor);
  if (shown.length > 1) context.fillText(grouped(first.step), WIDTH - 46, floor - depth * (shown.length - 1));
  return canvas;
}
