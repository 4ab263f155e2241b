/** Filters, feature maps and attention of a layer, computed here from the newest checkpoint. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { fill, h } from './dom.ts';
import { grouped, RUNNING } from './format.ts';
import type { Activity, Network } from './network.ts';
import { attentionPictures, filterPictures, mapPictures, type Picture, pictureGrid } from './pictures.ts';
import { newestNetwork, type Opened, type Samples, samples } from './remote.ts';
import { attempt, type Page } from './view.ts';

/** How often a newer checkpoint is asked for. */
const NEWER_MS = 3000;
/** Test samples that can be chosen, and pictures of one kind. */
const CHOICE = 16;
const MOST = 64;

export class LayerPictures {
  readonly element = h('div', { class: 'charts pictured' });
  readonly #page: Page;
  readonly #job: string;
  readonly #timer: ReturnType<typeof setInterval>;
  #opened: Opened | undefined;
  #samples: Samples | undefined;
  #sample = 0;
  #layer = '';
  #state = 0;
  #busy = false;
  #closed = false;

  constructor(page: Page, job: string) {
    this.#page = page;
    this.#job = job;
    this.#say(page.t.computing);
    this.#timer = setInterval(() => {
      if (this.#state === RUNNING || !this.#opened) this.#refresh();
    }, NEWER_MS);
    this.#refresh();
  }

  job({ state }: Job): void {
    if (state !== this.#state && this.#state !== 0) this.#refresh();
    this.#state = state;
  }

  layer(name: string): void {
    if (name === this.#layer) return;
    this.#layer = name;
    this.#draw();
  }

  destroy(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #say(text: string): void {
    fill(this.element, h('p', { class: 'faint' }, text));
  }

  #refresh(): void {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    attempt(this.#page, async () => {
      try {
        const newest = await newestNetwork(this.#job, this.#opened);
        if (this.#closed || newest === this.#opened) {
          if (!newest) this.#say(this.#page.t.noNetwork);
          return;
        }
        this.#samples ??= await samples(this.#job, 0, CHOICE).catch(() => samples(this.#job, 0, 1));
        this.#opened = newest;
        this.#draw();
      } finally {
        this.#busy = false;
      }
    });
  }

  #draw(): void {
    const [opened, data] = [this.#opened, this.#samples];
    if (!opened || !data || !this.#layer) return;
    const { network, step } = opened;
    const { t } = this.#page;
    const size = data.inputs.length / data.count;
    const activity = network.run(data.inputs.subarray(this.#sample * size, (this.#sample + 1) * size));
    const parts = [
      this.#weights(network, data),
      this.#maps(network, activity),
      this.#attention(activity),
    ].filter((part) => part !== undefined);
    const from = h('p', { class: 'faint' }, t.fromCheckpoint(grouped(step)));
    fill(this.element, ...parts);
    parts.at(-1)?.append(from);
  }

  #weights(network: Network, { shape }: Samples): HTMLElement | undefined {
    const { t } = this.#page;
    const weight = network.parameter(`${this.#layer}.weight`);
    if (!weight) return undefined;
    if (weight.shape.length === 4) {
      const four = weight.shape as readonly [number, number, number, number];
      const { pictures, columns } = filterPictures(weight.values, four, {
        filters: four[2] === 1 || four[2] === 3 ? MOST : 16,
        channels: 16,
      });
      return this.#card(`${t.filters} (${grouped(four[3])})`, 'filters', pictures, 'signed', columns);
    }
    // The first layer of a network without convolutions: a unit weighs each pixel.
    const [inputs, units] = weight.shape;
    const [height, width, channels = 1] = shape;
    if (
      shape.length < 2 ||
      shape.length > 3 ||
      (channels !== 1 && channels !== 3) ||
      inputs !== height! * width! * channels
    )
      return undefined;
    const pictures = Array.from(
      { length: Math.min(units!, 36) },
      (_, unit): Picture => ({
        ...{ width: width!, height: height!, channels },
        values: Float32Array.from({ length: inputs }, (_, pixel) => weight.values[pixel * units! + unit]!),
      }),
    );
    return this.#card(
      `${t.unitWeights} (${pictures.length} / ${grouped(units!)})`,
      'filters',
      pictures,
      'signed',
    );
  }

  #maps(network: Network, activity: Activity): HTMLElement | undefined {
    const { t } = this.#page;
    const index = network.model.layers.findIndex(({ name }) => name === this.#layer);
    const layer = network.model.layers[index];
    if (!layer) return undefined;
    const pictures = mapPictures(activity.outputs[index]!, layer.outputShape, MOST);
    return this.#card(t.featureMaps, 'maps', pictures, 'heat', undefined, this.#chooser());
  }

  #attention(activity: Activity): HTMLElement | undefined {
    const { t } = this.#page;
    const found = activity.attention.get(this.#layer);
    if (!found) return undefined;
    return this.#card(
      `${t.attentionMaps} ${this.#sample}`,
      'attention',
      attentionPictures(found.values, [found.heads, found.time]),
      'heat',
    );
  }

  #chooser(): HTMLElement {
    const { t } = this.#page;
    const { count, targets, preparation } = this.#samples!;
    const options = Array.from({ length: count }, (_, index) => {
      const target = targets.length === count ? targets[index]! : undefined;
      const truth = target === undefined ? '' : `: ${preparation.classes?.[target] ?? target}`;
      return h('option', { value: index, selected: index === this.#sample }, `${index}${truth}`);
    });
    const select = h(
      'select',
      {
        ...{ 'aria-label': t.sample, 'data-key': 'sample' },
        change: () => {
          this.#sample = Number(select.value);
          this.#draw();
        },
      },
      ...options,
    );
    return select;
  }

  #card(
    title: string,
    kind: string,
    pictures: readonly Picture[],
    palette: 'signed' | 'heat',
    columns?: number,
    extra?: HTMLElement,
  ): HTMLElement {
    const grid = pictureGrid(pictures, { label: title, palette, ...(columns !== undefined && { columns }) });
    return h(
      'section',
      { class: 'card', 'data-pictures': kind },
      h('div', { class: 'row' }, h('h3', {}, title), extra),
      grid,
    );
  }
}
