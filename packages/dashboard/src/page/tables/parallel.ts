/** Parallel coordinates: one axis for each column, one line for each row, coloured by its rank. Chosen rows lie on top. */
import { COLORS, color, h } from '../dom.ts';
import { type Column, type Scale, scaleOf } from './table-data.ts';

const HEIGHT = 260;
/** Room for names above, for missing values below, and for the labels of the first and the last axis at the sides. */
const [TOP, BOTTOM, SIDE] = [26, 44, 64];
/** Least distance between two axes, in pixels. */
const APART = 116;
/** A column of more choices than these has no labels. */
const NAMED = 8;
/** Pixels of a line of text. */
const LINE = 12;
/** Up to this many numbers, an axis is labelled with each of them. */
const FEW = 8;
const FONT = '11px system-ui, sans-serif';

export interface ParallelShown {
  readonly columns: readonly (Column & {
    readonly title: string;
    readonly text: (value: unknown) => string;
  })[];
  readonly rows: readonly number[];
  /** From 0, the best, to 1; undefined where it is not known. */
  readonly rank: (row: number) => number | undefined;
  readonly isChosen: (row: number) => boolean;
}

/** The colours of the best, the middle and the worst, which people who cannot tell red from green can tell apart. */
const RANKS = [
  [38, 89, 232],
  [150, 160, 182],
  [224, 123, 46],
] as const;

function rankColor(rank: number | undefined): string {
  if (rank === undefined) return 'rgb(128 128 128 / 50%)';
  const [from, to, part] = rank < 0.5 ? [RANKS[0], RANKS[1], 2 * rank] : [RANKS[1], RANKS[2], 2 * rank - 1];
  return `rgb(${from.map((value, index) => Math.round(value + part * (to[index]! - value))).join(' ')})`;
}

export class Parallel {
  readonly element: HTMLElement;
  readonly #canvas = h('canvas', { role: 'img', class: 'parallel' });
  readonly #resized = new ResizeObserver(() => this.#draw());
  readonly #recolor = () => this.#draw();
  #shown: ParallelShown | undefined;

  readonly #label: string;

  constructor(label: string) {
    this.#label = label;
    this.element = h(
      'div',
      { class: 'scroll', tabindex: 0, 'data-key': 'parallel', role: 'region', 'aria-label': label },
      this.#canvas,
    );
    this.#resized.observe(this.element);
    addEventListener(COLORS, this.#recolor);
  }

  show(shown: ParallelShown): void {
    this.#shown = shown;
    this.#draw();
  }

  destroy(): void {
    this.#resized.disconnect();
    removeEventListener(COLORS, this.#recolor);
  }

  #draw(): void {
    const shown = this.#shown;
    if (!shown || shown.columns.length === 0) return;
    const { columns, rows, rank, isChosen } = shown;
    const width = Math.max(this.element.clientWidth - 1, 2 * SIDE + APART * (columns.length - 1));
    const context = fitted(this.#canvas, width, HEIGHT);
    const scales = columns.map((column) => scaleOf(column, rows));
    const xOf = (axis: number) =>
      columns.length === 1 ? width / 2 : SIDE + (axis * (width - 2 * SIDE)) / (columns.length - 1);
    this.#canvas.setAttribute(
      'aria-label',
      `${this.#label}: ${columns.map(({ title }) => title).join(', ')}`,
    );
    const line = (row: number) => {
      context.beginPath();
      for (const [axis, column] of columns.entries())
        context.lineTo(xOf(axis), yOf(scales[axis]!.place(column.values[row])));
      context.stroke();
    };
    // The best are drawn last, above the others.
    const order = [...rows].sort((a, b) => (rank(b) ?? 2) - (rank(a) ?? 2));
    const anyChosen = rows.some(isChosen);
    context.globalAlpha = (anyChosen ? 0.25 : 1) * Math.min(0.8, Math.max(0.12, 40 / rows.length));
    context.lineWidth = 1.2;
    for (const row of order) {
      context.strokeStyle = rankColor(rank(row));
      line(row);
    }
    context.globalAlpha = 1;
    context.lineWidth = 2.4;
    for (const row of order) {
      if (!isChosen(row)) continue;
      context.strokeStyle = rankColor(rank(row));
      line(row);
    }
    // Each takes a while to find.
    const [faint, ink, ground] = ['--faint', '--text', '--card'].map(color) as [string, string, string];
    for (const [axis, column] of columns.entries())
      drawAxis(context, xOf(axis), scales[axis]!, column, {
        at: axis === 0 ? 'first' : axis === columns.length - 1 ? 'last' : 'between',
        room: columns.length === 1 ? width : (width - 2 * SIDE) / (columns.length - 1) - 8,
        hasGaps: rows.some((row) => scales[axis]!.place(column.values[row]) === undefined),
        ...{ faint, ink, ground },
      });
  }
}

/** 1 is at the top; rows without a value lie below the axis. */
const yOf = (place: number | undefined): number =>
  place === undefined ? HEIGHT - 12 : TOP + 8 + (1 - place) * (HEIGHT - TOP - BOTTOM - 8);

interface AxisPlace {
  readonly at: 'first' | 'between' | 'last';
  readonly room: number;
  readonly hasGaps: boolean;
  /** Colours. */
  readonly faint: string;
  readonly ink: string;
  readonly ground: string;
}

function drawAxis(
  context: CanvasRenderingContext2D,
  x: number,
  scale: Scale,
  { title, text, values }: ParallelShown['columns'][number],
  { at, room, hasGaps, faint, ink, ground }: AxisPlace,
): void {
  context.strokeStyle = faint;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, yOf(0));
  context.lineTo(x, yOf(1));
  context.stroke();
  context.font = `600 ${FONT}`;
  context.textBaseline = 'middle';
  context.textAlign = at === 'first' ? 'left' : at === 'last' ? 'right' : 'center';
  context.fillStyle = ink;
  const sideways = at === 'between' ? 0 : at === 'first' ? -SIDE + 6 : SIDE - 6;
  context.fillText(
    shortened(context, title, at === 'between' ? room : room / 2 + SIDE - 10),
    x + sideways,
    10,
  );
  context.font = FONT;
  context.textAlign = at === 'first' ? 'right' : 'left';
  const beside = (label: string, y: number) => {
    const to = x + (at === 'first' ? -6 : 6);
    const written = shortened(context, label, at === 'between' ? room - 6 : SIDE - 10);
    // Readable over the lines.
    context.strokeStyle = ground;
    context.lineWidth = 4;
    context.strokeText(written, to, y);
    context.fillText(written, to, y);
  };
  context.fillStyle = faint;
  if (scale.choices) {
    for (const choice of scale.choices.length <= NAMED ? scale.choices : [])
      beside(text(choice), yOf(scale.place(choice)));
  } else if (Number.isFinite(scale.least)) {
    let above = Number.NEGATIVE_INFINITY;
    for (const value of marksOf(scale, values)) {
      const y = yOf(scale.place(value));
      // The lowest is always labelled, even if the one above it is close.
      if (value !== scale.least && (y - above < LINE || yOf(0) - y < LINE)) continue;
      beside(text(value), y);
      above = y;
    }
  }
  if (hasGaps) beside('–', yOf(undefined));
}

/** The numbers that label an axis: all of them if they are few, otherwise the ends and the middle. */
function marksOf({ isLogarithmic, least, most }: Scale, values: readonly unknown[]): readonly number[] {
  const all = [...new Set(values)].filter((value) => typeof value === 'number');
  if (all.length <= FEW) return all.sort((a, b) => b - a);
  const middle = isLogarithmic ? Math.sqrt(least * most) : (least + most) / 2;
  return [most, Number(middle.toPrecision(3)), least];
}

function shortened(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  // The end of a path tells more than its beginning.
  let from = 1;
  while (from < text.length - 1 && context.measureText(`…${text.slice(from)}`).width > room) from++;
  return `…${text.slice(from)}`;
}

/** Sizes a canvas for the screen's resolution. */
function fitted(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d')!;
  context.scale(ratio, ratio);
  return context;
}
