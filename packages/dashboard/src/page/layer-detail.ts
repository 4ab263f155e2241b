/** One layer in full: its norms over time, its distributions, and what can be seen in the network of the newest checkpoint. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { BLUE, Chart, GREEN, ORANGE } from './chart.ts';
import { mayBeDead } from './diagnose.ts';
import { ridges } from './distributions.ts';
import { COLORS, figure, fill, h } from './dom.ts';
import { grouped, small } from './format.ts';
import { LayerPictures } from './layer-pictures.ts';
import { type MetricsHistory, snapshotsOf } from './metrics-history.ts';
import type { Page } from './view.ts';

/** Histograms are drawn anew so often, in milliseconds. */
const RIDGES_MS = 1000;

export class LayerDetail {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #head = h('section', { class: 'card' });
  readonly #norms: Chart;
  readonly #update: Chart;
  readonly #dead: Chart;
  readonly #ridges = h('div', { class: 'charts' });
  readonly #pictures: LayerPictures;
  #layer = '';
  #later: ReturnType<typeof setTimeout> | undefined;
  #snapshots = -1;
  #history: MetricsHistory | undefined;
  readonly #redraw = () => {
    if (this.#history) this.#drawRidges(this.#history, this.#layer);
  };

  constructor(page: Page, job: string) {
    this.#page = page;
    const { t } = page;
    const chart = (title: string, logarithmic: boolean) =>
      new Chart({ title, xLabel: t.step, sync: 'layer', logarithmic, height: 170 });
    this.#norms = chart(t.norms, true);
    this.#update = chart(t.update, true);
    this.#dead = chart(t.dead, false);
    this.#pictures = new LayerPictures(page, job);
    const charts = [this.#norms, this.#update, this.#dead].map(({ element }) => element);
    addEventListener(COLORS, this.#redraw);
    this.element = h(
      'div',
      { class: 'stacked detail' },
      this.#head,
      this.#pictures.element,
      h('div', { class: 'charts' }, ...charts),
      this.#ridges,
    );
  }

  /** The job as it is: there may be a new checkpoint. */
  job(job: Job): void {
    this.#pictures.job(job);
  }

  show(metrics: MetricsHistory, layer: string): void {
    const other = layer !== this.#layer;
    this.#layer = layer;
    this.#history = metrics;
    this.#pictures.layer(layer);
    this.#drawHead(metrics, layer);
    this.#drawCharts(metrics, layer);
    const snapshots = metrics.gradients.length + 1000 * metrics.activations.length;
    if (!other && snapshots === this.#snapshots) return;
    this.#snapshots = snapshots;
    // At once for another layer; of the same one the latest, a moment later.
    if (other) this.#drawRidges(metrics, layer);
    this.#later ??= setTimeout(() => {
      this.#later = undefined;
      this.#redraw();
    }, RIDGES_MS);
  }

  destroy(): void {
    for (const chart of [this.#norms, this.#update, this.#dead]) chart.destroy();
    this.#pictures.destroy();
    clearTimeout(this.#later);
    removeEventListener(COLORS, this.#redraw);
  }

  #drawHead(metrics: MetricsHistory, layer: string): void {
    const { t } = this.#page;
    const info = metrics.layers.find(({ name }) => name === layer);
    if (!info) return;
    const seen = metrics.last?.layers.find((one) => one.layer === layer);
    const probed = snapshotsOf(metrics.activations.slice(-1), layer)[0];
    const active = probed?.seen;
    // They are looked at now and then only.
    const then = probed && probed.step !== metrics.last?.step ? ` (${t.atStep(grouped(probed.step))})` : '';
    fill(
      this.#head,
      h('div', { class: 'row' }, h('h2', {}, layer), h('span', { class: 'faint' }, info.type)),
      h(
        'dl',
        { class: 'figures' },
        figure(t.output, info.outputShape.join(' × ')),
        figure(t.parameters, grouped(info.parameters)),
        figure(t.flops, grouped(info.flops)),
        figure(t.gradient, seen && small(seen.gradientNorm)),
        figure(t.weights, seen && small(seen.weightNorm)),
        figure(t.update, seen && small(seen.updateRatio)),
        figure(t.activations, active && `${small(active.activationRms)}${then}`),
        figure(
          t.dead,
          active && mayBeDead(info.type) && `${grouped(active.deadUnits)} / ${grouped(active.units)}${then}`,
        ),
      ),
    );
  }

  #drawCharts(metrics: MetricsHistory, layer: string): void {
    const { t } = this.#page;
    const x = metrics.points.map(({ step }) => step);
    const has = metrics.last?.layers.some((one) => one.layer === layer) ?? false;
    const active = snapshotsOf(metrics.activations, layer);
    const steps = active.map(({ step }) => step);
    const curve = (label: string, color: string, y: (number | null)[]) => ({ label, color, x, y });
    const ofLayer = has
      ? [
          curve(
            t.gradient,
            BLUE,
            metrics.ofLayer(layer, (seen) => seen.gradientNorm),
          ),
          curve(
            t.weights,
            GREEN,
            metrics.ofLayer(layer, (seen) => seen.weightNorm),
          ),
        ]
      : [];
    const rms = {
      label: t.activationRms,
      color: ORANGE,
      x: steps,
      y: active.map(({ seen }) => seen.activationRms),
      sparse: true,
    };
    this.#norms.element.hidden = ofLayer.length === 0 && steps.length === 0;
    this.#norms.update(steps.length > 0 ? [...ofLayer, rms] : ofLayer);
    this.#update.element.hidden = !has;
    if (has)
      this.#update.update([
        curve(
          t.update,
          BLUE,
          metrics.ofLayer(layer, (seen) => seen.updateRatio),
        ),
      ]);
    const { type = '' } = metrics.layers.find(({ name }) => name === layer) ?? {};
    const dies = steps.length > 0 && mayBeDead(type);
    this.#dead.element.hidden = !dies;
    if (dies) {
      const dead = active.map(({ seen }) => seen.deadUnits);
      // The axis goes on to the present step, where nothing is known of them.
      const now = x.slice(-1).filter((step) => step > steps.at(-1)!);
      const curve = { label: t.dead, color: '#c23b3b', sparse: true };
      this.#dead.update([{ ...curve, x: [...steps, ...now], y: [...dead, ...now.map(() => null)] }]);
    }
  }

  #drawRidges(metrics: MetricsHistory, layer: string): void {
    const { t } = this.#page;
    const trained = snapshotsOf(metrics.gradients, layer);
    const active = snapshotsOf(metrics.activations, layer);
    const part = (title: string, list: typeof trained, pick: 'gradient' | 'weights' | 'activations') => {
      const moments = list.flatMap(({ step, seen }) => (seen[pick] ? [{ step, histogram: seen[pick] }] : []));
      if (moments.length === 0) return undefined;
      const full = `${title} ${t.overTime}`;
      return h('section', { class: 'card', 'data-ridges': pick }, h('h3', {}, full), ridges(moments, full));
    };
    fill(
      this.#ridges,
      part(t.gradient, trained, 'gradient'),
      part(t.weights, trained, 'weights'),
      part(t.activations, active, 'activations'),
    );
  }
}
