/** The curves of several runs in one chart, by epoch. They are fetched when other runs are chosen, and again while runs go on. */
import type { EpochResult } from '@kasane/protocol/gen/kasane/v1/jobs';
import type { TestMetricName } from '@kasane/tensor/internal/test-metrics';
import { Chart, type Curve } from '../chart.ts';
import { hueOf } from '../format.ts';
import { curvesOf } from '../remote.ts';
import { attempt, type Page } from '../view.ts';

/** Curves that can still be told apart, more or less. */
const MOST = 50;
const AGAIN_MS = 3000;

export class RunCurves {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #chart: Chart;
  #runs: readonly { readonly id: string; readonly name: string }[] = [];
  #target = '';
  #asked = '';
  #askedAt = Number.NEGATIVE_INFINITY;
  #known = new Map<string, readonly EpochResult[]>();

  constructor(page: Page) {
    this.#page = page;
    this.#chart = new Chart({ title: page.t.metric, xLabel: page.t.epoch, height: 220 });
    this.element = this.#chart.element;
  }

  /** @param isLive whether there may be more epochs soon */
  show(
    runs: readonly { readonly id: string; readonly name: string }[],
    target: string,
    title: string,
    isLive: boolean,
    format: (value: number) => string,
  ): void {
    this.#runs = runs.slice(0, MOST);
    if (target !== this.#target) {
      this.#target = target;
      this.#chart.change({ title, format });
    }
    const asked = this.#runs.map(({ id }) => id).join();
    const isOld = isLive && performance.now() - this.#askedAt > AGAIN_MS;
    if (asked === this.#asked && !isOld) {
      this.#draw();
      return;
    }
    this.#asked = asked;
    this.#askedAt = performance.now();
    attempt(this.#page, async () => {
      const ids = this.#runs.map(({ id }) => id);
      const curves = ids.length > 0 ? await curvesOf(ids) : [];
      this.#known = new Map(curves.map(({ job, history }) => [job, history]));
      this.#draw();
    });
  }

  destroy(): void {
    this.#chart.destroy();
  }

  #draw(): void {
    const pick = picked(this.#target);
    this.#chart.update(
      this.#runs.map(({ id, name }, index): Curve => {
        const history = this.#known.get(id) ?? [];
        return {
          label: name,
          color: `hsl(${hueOf(index)} 65% 52%)`,
          x: history.map(({ epoch }) => epoch),
          y: history.map((epoch) => pick(epoch) ?? null),
          sparse: history.length < 20,
        };
      }),
    );
  }
}

/** The metric of an epoch; for one that only a whole job has, the test loss. */
function picked(target: string): (epoch: EpochResult) => number | undefined {
  const further = target.replace(/^testMetrics\./, '') as TestMetricName;
  return (epoch) => {
    const value = (() => {
      if (target === 'trainLoss') return epoch.trainLoss;
      if (target === 'trainMetric') return epoch.trainMetric;
      if (['testMetric', 'bestMetric', 'testAccuracy', 'testError'].includes(target)) return epoch.testMetric;
      return epoch.testMetrics?.[further] ?? epoch.testLoss;
    })();
    return Number.isFinite(value) ? value : undefined;
  };
}
