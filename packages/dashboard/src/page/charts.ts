/** Curves, by uPlot: made once for a job, then fed. */
import type { EpochResult, StepMetrics } from '@kasane/protocol/gen/kasane/v1/jobs';
import type UPlot from 'uplot';
// @ts-expect-error served by the dashboard's own server
import Library from '/uplot/uPlot.esm.js';
import { h } from './dom.ts';
import type { Words } from './text.ts';

const UPlotClass = Library as typeof UPlot;

interface Series {
  readonly label: string;
  readonly color: string;
  /** One number a step; null leaves a gap. */
  readonly values: (
    points: readonly StepMetrics[],
    tests: ReadonlyMap<number, EpochResult>,
  ) => (number | null)[];
  /** Points only: what is known at a few steps. */
  readonly sparse?: boolean;
}

interface Chart {
  readonly title: string;
  readonly series: readonly Series[];
  /** Powers of ten on the axis. */
  readonly logarithmic?: boolean;
}

const [BLUE, ORANGE] = ['#4f7cff', '#e8833a'];
const HEIGHT = 190;

function charts(t: Words): Chart[] {
  const of = (label: string, pick: (point: StepMetrics) => number, color = BLUE): Series => ({
    label,
    color,
    values: (points) => points.map((point) => (Number.isFinite(pick(point)) ? pick(point) : null)),
  });
  const test = (pick: (epoch: EpochResult) => number): Series => ({
    label: t.test,
    color: ORANGE,
    sparse: true,
    values: (points, tests) =>
      points.map(({ step }) => {
        const epoch = tests.get(step);
        return epoch ? pick(epoch) : null;
      }),
  });
  return [
    { title: t.loss, series: [of(t.train, (p) => p.loss), test((e) => e.testLoss)], logarithmic: true },
    {
      title: t.metric,
      series: [of(t.train, (p) => p.metric), test((e) => e.testMetric)],
    },
    { title: t.learningRate, series: [of(t.learningRate, (p) => p.learningRate)] },
    { title: t.gradientNorm, series: [of(t.gradientNorm, (p) => p.gradientNorm)], logarithmic: true },
    { title: t.speed, series: [of(t.speed, (p) => p.samplesPerSecond)] },
    { title: t.stepTime, series: [of(t.whole, (p) => p.stepMs), of(t.compute, (p) => p.computeMs, ORANGE)] },
  ];
}

/** All curves of one job. */
export class Charts {
  readonly element: HTMLElement;
  readonly #plots: { chart: Chart; plot: UPlot; box: HTMLElement }[] = [];
  readonly #resized = new ResizeObserver(() => this.#fit());

  constructor(t: Words) {
    this.element = h('div', { class: 'charts' });
    // A canvas knows no variables: the colour as it is after them.
    const probe = h('span', { class: 'faint' });
    document.body.append(probe);
    const stroke = getComputedStyle(probe).color;
    probe.remove();
    const axis = {
      stroke,
      grid: { stroke: '#8883', width: 1 },
      ticks: { show: false },
    };
    for (const chart of charts(t)) {
      const box = h('div');
      const card = h('section', { class: 'card', 'aria-label': chart.title }, h('h3', {}, chart.title), box);
      this.element.append(card);
      const plot = new UPlotClass(
        {
          width: 400,
          height: HEIGHT,
          scales: { x: { time: false }, y: { distr: chart.logarithmic ? 3 : 1 } },
          axes: [axis, { ...axis, size: 58 }],
          series: [
            { label: t.step },
            ...chart.series.map(({ label, color, sparse }) => ({
              label,
              stroke: color,
              width: 1.5,
              spanGaps: true,
              points: { show: sparse === true, size: 6 },
              value: (_: UPlot, value: number | null) => (value === null ? '-' : value.toPrecision(4)),
            })),
          ],
          cursor: { sync: { key: 'kasane' } },
        },
        [[], ...chart.series.map(() => [])],
        box,
      );
      this.#plots.push({ chart, plot, box });
    }
    this.#resized.observe(this.element);
  }

  /** @param stepsPerEpoch 0 while it is unknown */
  update(points: readonly StepMetrics[], history: readonly EpochResult[], stepsPerEpoch: number): void {
    const { steps, all, tests } = withEpochs(points, history, stepsPerEpoch);
    for (const { chart, plot } of this.#plots) {
      plot.setData([steps, ...chart.series.map(({ values }) => values(all, tests))]);
    }
  }

  destroy(): void {
    this.#resized.disconnect();
    for (const { plot } of this.#plots) plot.destroy();
  }

  #fit(): void {
    for (const { plot, box } of this.#plots) {
      if (box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height: HEIGHT });
    }
  }
}

/** Test results stand at the last point of their epoch: the nearest one that was seen. */
function withEpochs(points: readonly StepMetrics[], history: readonly EpochResult[], stepsPerEpoch: number) {
  const tests = new Map<number, EpochResult>();
  if (stepsPerEpoch > 0) {
    for (const result of history) {
      const end = result.epoch * stepsPerEpoch;
      const nearest = points.reduce<StepMetrics | undefined>(
        (best, point) => (best && Math.abs(best.step - end) <= Math.abs(point.step - end) ? best : point),
        undefined,
      );
      if (nearest) tests.set(nearest.step, result);
    }
  }
  return { steps: points.map(({ step }) => step), all: points, tests };
}
