/** Filters, feature maps and attention of a layer, computed here from the newest checkpoint. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { fill, h } from './dom.ts';
import { grouped } from './format.ts';
import type { Activity, Network } from './network.ts';
import { Newest } from './newest.ts';
import { attentionPictures, filterPictures, mapPictures, type Picture, pictureGrid } from './pictures.ts';
import type { Samples } from './remote.ts';
import type { Page } from './view.ts';

/** Test samples that can be chosen, and pictures of one kind. */
const CHOICE = 16;
const MOST = 64;

export class LayerPictures {
  readonly element = h('div', { class: 'charts pictured' });
  readonly #page: Page;
  readonly #newest: Newest;
  #sample = 0;
  #layer = '';

  constructor(page: Page, job: string) {
    this.#page = page;
    this.#say(page.t.computing);
    this.#newest = new Newest(page, job, {
      samples: CHOICE,
      onNetwork: () => this.#draw(),
      onNone: () => this.#say(page.t.noNetwork),
    });
  }

  job({ state }: Job): void {
    this.#newest.job(state);
  }

  layer(name: string): void {
    if (name === this.#layer) return;
    this.#layer = name;
    this.#draw();
  }

  destroy(): void {
    this.#newest.close();
  }

  #say(text: string): void {
    fill(this.element, h('p', { class: 'faint' }, text));
  }

  #draw(): void {
    const { opened, samples: data } = this.#newest;
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
    const { count, targets, preparation } = this.#newest.samples!;
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
