/**
 * The network as its stack of layers. Each plate shows what the layer is and, at a glance, how large its gradient is; the chosen one
 * is shown in full beside it.
 */
import type { LayerInfo } from '@kasane/protocol/gen/kasane/v1/jobs';
import { diagnose, type Trouble } from './diagnose.ts';
import { fill, h, spark } from './dom.ts';
import { short, small } from './format.ts';
import { LayerDetail } from './layer-detail.ts';
import type { MetricsHistory } from './metrics-history.ts';
import type { Known, Page, View } from './view.ts';
import { warningOf } from './warning.ts';

/** Points of a plate's curve. */
const RECENT = 200;
/** The bar of a gradient is empty at this part of the largest one. */
const FAINTEST = 1e-6;

export class LayersView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #stack = h('div', { class: 'stack' });
  readonly #warnings = h('div', { role: 'status' });
  readonly #detail: LayerDetail;
  /** Name of the chosen layer. */
  #chosen = '';
  #drawn = -1;
  #history: MetricsHistory | undefined;
  #localSteps = 1;

  constructor(page: Page, job: string) {
    this.#page = page;
    this.#detail = new LayerDetail(page, job);
    this.#stack.addEventListener('keydown', (event) => this.#key(event));
    const columns = h('div', { class: 'layers' }, this.#stack, this.#detail.element);
    const caption = h('p', { class: 'faint caption' }, page.t.gradientBars);
    this.element = h('div', { class: 'stacked' }, this.#warnings, caption, columns);
  }

  update({ metrics, jobs, followed }: Known): void {
    const job = jobs?.find(({ id }) => id === followed);
    if (job) this.#detail.job(job);
    this.#localSteps = job?.localSteps ?? 1;
    if (metrics.version === this.#drawn && metrics === this.#history) return;
    this.#drawn = metrics.version;
    this.#history = metrics;
    this.#draw();
  }

  destroy(): void {
    this.#detail.destroy();
  }

  #draw(): void {
    const { t } = this.#page;
    const metrics = this.#history;
    if (!metrics) return;
    if (metrics.layers.length === 0) {
      fill(this.#stack, h('p', { class: 'faint' }, t.noLayers));
      return;
    }
    // Without options it is no listbox, to whoever has it read aloud.
    this.#stack.setAttribute('role', 'listbox');
    this.#stack.setAttribute('aria-label', t.layers);
    // What has weights is of the most interest.
    this.#chosen ||= (metrics.layers.find(({ parameters }) => parameters > 0) ?? metrics.layers[0])!.name;
    const { troubles, finding } = diagnose(
      metrics.points,
      metrics.layers,
      metrics.activations.at(-1),
      this.#localSteps,
    );
    fill(this.#warnings, finding && h('p', { class: 'warning' }, `⚠ ${warningOf(t, finding)}`));
    const seen = new Map(metrics.last?.layers.map((layer) => [layer.layer, layer]));
    const largest = Math.max(
      ...[...seen.values()].map(({ gradientNorm }) => gradientNorm).filter(Number.isFinite),
      0,
    );
    const plates = metrics.layers.map((info, index) => {
      const norm = seen.get(info.name)?.gradientNorm;
      const trouble = troubles.get(info.name);
      return this.#plate(info, metrics.layers[index - 1]?.name ?? 'input', norm, largest, trouble);
    });
    fill(this.#stack, ...plates);
    this.#detail.show(metrics, this.#chosen);
  }

  #plate(
    info: LayerInfo,
    before: string,
    norm: number | undefined,
    largest: number,
    trouble: Trouble | undefined,
  ): HTMLElement {
    const { t } = this.#page;
    const chosen = info.name === this.#chosen;
    const branches = info.from.length > 1 || info.from[0] !== before;
    const facts = [
      info.outputShape.join(' × '),
      info.parameters > 0 && `${short(info.parameters)} ${t.parameters}`,
      `${short(info.flops)} ${t.flops}`,
      branches && `${t.reads} ${info.from.join(', ')}`,
    ];
    return h(
      'div',
      {
        ...{ class: `plate ${trouble ? 'troubled' : ''}`, role: 'option', 'aria-selected': String(chosen) },
        ...{ tabindex: chosen ? 0 : -1, 'data-key': info.name, 'data-type': info.type },
        click: () => this.#choose(info.name),
      },
      h(
        'div',
        { class: 'row' },
        h('span', { class: 'name' }, info.name),
        h('span', { class: 'faint' }, info.type),
      ),
      h('div', { class: 'faint facts' }, facts.filter(Boolean).join(' · ')),
      norm === undefined ? undefined : this.#gradient(info.name, norm, largest),
      trouble ? h('span', { class: 'warning' }, `⚠ ${t.troubles[trouble]}`) : undefined,
    );
  }

  /** A bar on a scale of powers of ten: gradients that vanish towards the input are seen as bars that shrink. */
  #gradient(layer: string, norm: number, largest: number): HTMLElement {
    const { t } = this.#page;
    const part =
      largest > 0 && norm > 0 ? Math.max(0.02, 1 - Math.log10(norm / largest) / Math.log10(FAINTEST)) : 0;
    const metrics = this.#history!.ofLayer(layer, ({ gradientNorm }) => gradientNorm, RECENT);
    const powers = metrics.flatMap((value) => (value === null ? [] : [Math.log10(value || 1e-12)]));
    return h(
      'div',
      { class: 'gradient', title: t.gradient },
      h('span', { class: 'bar' }, h('span', { style: `width: ${Math.min(100, 100 * part).toFixed(0)}%` })),
      h('span', { class: 'number' }, `∇ ${small(norm)}`),
      spark(powers),
    );
  }

  #choose(name: string): void {
    this.#chosen = name;
    this.#draw();
    this.#stack.querySelector<HTMLElement>('[aria-selected="true"]')?.focus({ preventScroll: true });
  }

  #key(event: KeyboardEvent): void {
    const names = this.#history?.layers.map(({ name }) => name) ?? [];
    const at = names.indexOf(this.#chosen);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: names.length - 1 }[event.key];
    const name = to === undefined ? undefined : names[to];
    if (name === undefined) return;
    event.preventDefault();
    this.#choose(name);
    this.#stack.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }
}
