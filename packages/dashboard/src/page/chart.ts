/** One chart of curves, by uPlot: made once, then fed. Curves may have steps of their own: they are brought together here. */
import UPlot from 'uplot';
import { listenToKeys } from './chart-keys.ts';
import { COLORS, color, h } from './dom.ts';
import { brief } from './format.ts';

/** Colours of curves, where a few are enough. */
export const [BLUE, ORANGE, GREEN] = ['#4f7cff', '#e07b2e', '#2e9e5b'] as const;

/** With more points than this, each is drawn smaller. */
const MANY = 400;

export interface Curve {
  readonly label: string;
  readonly color: string;
  readonly x: readonly number[];
  /** null leaves a gap. */
  readonly y: readonly (number | null)[];
  /** Points as well: what is known at a few places. */
  readonly sparse?: boolean;
  readonly dash?: boolean;
  /** Behind the others: what a smooth curve was made of. */
  readonly faint?: boolean;
  /** Points alone, without a line between them. */
  readonly dots?: boolean;
  /** Each value holds until the next. */
  readonly stepped?: boolean;
}

export interface ChartOptions {
  readonly title: string;
  /** Name of the axis below. */
  readonly xLabel: string;
  readonly height?: number;
  /** Cursors and zoom go together in charts of one key. */
  readonly sync?: string;
  /** Powers of ten on the axis. Default false. */
  readonly logarithmic?: boolean;
  /** How its values are written. Default: as numbers. */
  readonly format?: (value: number) => string;
  /** Powers of ten on the x axis. Default false. */
  readonly xLogarithmic?: boolean;
  /** How x values are written at ticks. Default: as numbers. */
  readonly xFormat?: (value: number) => string;
  /** How the x value under the cursor is written; `index` is its position among all. Default: as at ticks. */
  readonly xText?: (value: number, index: number) => string;
  /** A scatter plot: leaves room at both ends of the x axis. Default false. */
  readonly isScatter?: boolean;
  /** Called with the index of the x value that was clicked on. */
  readonly onPick?: (index: number) => void;
  /** Called after a user has zoomed. */
  readonly onZoom?: (range: readonly [number, number]) => void;
}

export class Chart {
  readonly element: HTMLElement;
  readonly #box = h('div');
  #options: ChartOptions;
  readonly #title = h('h3');
  readonly #resized = new ResizeObserver(() => this.#fit());
  #plot: UPlot | undefined;
  /** What the series are; others take another plot. */
  #shape = '';
  #range: readonly [number, number] | undefined;
  #width = 0;
  #curves: readonly Curve[] = [];
  /** Other colours are wanted: the page is light now, or dark. */
  readonly #recolor = () => {
    this.#shape = '';
    this.update(this.#curves);
  };

  constructor(options: ChartOptions, actions: readonly HTMLElement[] = []) {
    this.#options = options;
    const title = h('div', { class: 'row' }, this.#title, ...actions);
    this.element = h('section', { class: 'card chart' }, title, this.#box);
    this.change(options);
    this.#resized.observe(this.#box);
    addEventListener(COLORS, this.#recolor);
  }

  /** Changes some of its options. */
  change(options: Partial<Omit<ChartOptions, 'sync' | 'onZoom'>>): void {
    this.#options = { ...this.#options, ...options };
    this.#title.textContent = this.#options.title;
    this.element.setAttribute('aria-label', this.#options.title);
    if (this.#plot) this.#recolor();
  }

  update(curves: readonly Curve[]): void {
    this.#curves = curves;
    const drawn = this.#options.logarithmic
      ? curves.map((curve) => ({
          ...curve,
          y: curve.y.map((value) => (value !== null && value > 0 ? value : null)),
        }))
      : curves;
    const data = together(drawn);
    const shape = JSON.stringify(drawn.map(({ x: _, y: __, ...look }) => look));
    if (shape !== this.#shape || !this.#plot) this.#make(drawn, data, shape);
    else this.#plot.setData(data, this.#range === undefined);
    this.#showLast();
    if (this.#range && this.#plot) {
      const [min, max] = this.#range;
      this.#plot.setScale('x', { min, max });
    }
  }

  /** Shows a part of the axis; undefined for all of it. */
  zoom(range: readonly [number, number] | undefined): void {
    this.#range = range;
    const xs = this.#plot?.data[0];
    if (!this.#plot || !xs || xs.length === 0) return;
    const [min, max] = range ?? [xs[0]!, xs.at(-1)!];
    this.#plot.setScale('x', { min, max });
  }

  destroy(): void {
    this.#resized.disconnect();
    removeEventListener(COLORS, this.#recolor);
    this.#plot?.destroy();
  }

  /** Without a cursor, the legend has the last value of each curve. */
  #showLast(): void {
    const plot = this.#plot;
    if (!plot || plot.cursor.idx != null) return;
    const last = plot.data.map((values) => {
      for (let index = values.length - 1; index >= 0; index--) if (values[index] != null) return index;
      return null;
    });
    plot.setLegend({ idxs: last }, false);
  }

  #make(curves: readonly Curve[], data: UPlot.AlignedData, shape: string): void {
    this.#plot?.destroy();
    this.#shape = shape;
    const { title, xLabel, sync, logarithmic, xLogarithmic, onZoom, onPick, isScatter } = this.#options;
    const xRange = isScatter && roomAround(xLogarithmic === true);
    const { format = brief, xFormat = brief, xText = xFormat } = this.#options;
    const axis = {
      stroke: color('--faint'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    this.#width = this.#box.clientWidth || 320;
    this.#plot = new UPlot(
      {
        width: this.#width,
        height: this.#height,
        scales: {
          x: { time: false, distr: xLogarithmic ? 3 : 1, ...(xRange && { range: xRange }) },
          y: { distr: logarithmic ? 3 : 1 },
        },
        axes: [
          {
            ...axis,
            size: 28,
            values: (_, ticks) => ticks.map((tick) => (tick == null ? '' : xFormat(tick))),
          },
          // Of a logarithmic axis not every tick has a text.
          {
            ...axis,
            size: 56,
            values: (_, ticks) => ticks.map((tick) => (tick == null ? '' : format(tick))),
          },
        ],
        series: [
          {
            label: xLabel,
            value: (_, value, __, index) => (value == null ? '-' : xText(value, index ?? 0)),
          },
          ...curves.map(({ label, color, sparse, dash, faint, dots, stepped }) => ({
            // A press hides the curve or shows it again.
            label: h('button', { type: 'button' }, label),
            stroke: color,
            width: faint ? 1 : 1.6,
            alpha: faint ? 0.3 : 1,
            spanGaps: true,
            ...(dash && { dash: [5, 4] }),
            ...(dots && { paths: () => null }),
            ...(stepped && { paths: UPlot.paths.stepped!({ align: 1 }) }),
            points: {
              show: sparse === true || dots === true,
              size: dots && data[0].length > MANY ? 4 : 6,
              ...(dots && { fill: color }),
            },
            value: (_: UPlot, value: number | null) => (value == null ? '-' : format(value)),
          })),
        ],
        cursor: { y: false, drag: { x: true, y: false }, ...(sync && { sync: { key: sync } }) },
        hooks: {
          setLegend: [() => this.#showLast()],
          setSelect: [
            (plot: UPlot) => {
              const { left, width } = plot.select;
              if (width < 2) return;
              const range = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')] as const;
              this.#range = range;
              onZoom?.(range);
            },
          ],
        },
      },
      data,
      this.#box,
    );
    const plot = this.#plot;
    if (onPick)
      plot.over.addEventListener('click', () => {
        if (plot.cursor.idx != null) onPick(plot.cursor.idx);
      });
    listenToKeys(plot, title, [xLabel, ...curves.map(({ label }) => label)], format, this.#options.xText);
  }

  #fit(): void {
    const width = this.#box.clientWidth;
    if (width === 0 || width === this.#width) return;
    this.#width = width;
    this.#plot?.setSize({ width, height: this.#height });
  }

  /** On the widest screens there is room below all charts of a job. */
  get #height(): number {
    const { height = 190 } = this.#options;
    return matchMedia('(min-width: 2600px)').matches ? 2 * height : height;
  }
}

/** A scale that is a little wider than its values. */
const roomAround =
  (isLogarithmic: boolean): UPlot.Scale.Range =>
  (_, min, max) => {
    const [from, to] = isLogarithmic ? [Math.log(min), Math.log(max)] : [min, max];
    const room = 0.06 * (to - from || 1);
    const ends = [from - room, to + room] as const;
    return isLogarithmic ? [Math.exp(ends[0]), Math.exp(ends[1])] : [...ends];
  };

/** Curves on one axis: all their places in order, with gaps where a curve has none. */
export function together(curves: readonly Pick<Curve, 'x' | 'y'>[]): UPlot.AlignedData {
  const [first] = curves;
  if (first && curves.every(({ x }) => x === first.x))
    return [[...first.x], ...curves.map(({ y }) => [...y])];
  const places = [...new Set(curves.flatMap(({ x }) => [...x]))].sort((a, b) => a - b);
  const at = new Map(places.map((place, index) => [place, index]));
  return [
    places,
    ...curves.map(({ x, y }) => {
      const values = new Array<number | null>(places.length).fill(null);
      for (const [index, place] of x.entries()) values[at.get(place)!] = y[index] ?? null;
      return values;
    }),
  ];
}

/** An exponential moving average, corrected for its beginning. @param weight of what was before, 0 to below 1 */
export function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  let mean = 0;
  let sum = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return value;
    mean = weight * mean + (1 - weight) * value;
    sum = weight * sum + (1 - weight);
    return mean / sum;
  });
}
