/** Draw a digit, drop an image or take a test sample, and see what the newest checkpoint makes of it, computed in this page. */
import type { Job } from '@kasane/protocol/gen/kasane/v1/jobs';
import { softmax } from '@kasane/tensor/internal/probabilities';
import { fill, h } from './dom.ts';
import { DrawingPad } from './drawing-pad.ts';
import { grouped, percent, small } from './format.ts';
import {
  type Background,
  type ImageForm,
  imageFormOf,
  sampleOfDrawing,
  sampleOfImage,
} from './image-input.ts';
import { Newest } from './newest.ts';
import { type Picture, pictureGrid } from './pictures.ts';
import type { Samples } from './remote.ts';
import { attempt, type Known, type Page, type View } from './view.ts';

const TEST_SAMPLES = 32;
/** Classes that are listed. */
const LISTED = 10;

export class TryView implements View {
  readonly element: HTMLElement;
  readonly #page: Page;
  readonly #job: string;
  readonly #inputs = h('section', { class: 'card' });
  readonly #answer = h('section', { class: 'card prediction', 'aria-live': 'polite' });
  readonly #newest: Newest;
  #pad: DrawingPad | undefined;
  #form: ImageForm | undefined;
  #x: Float32Array | undefined;
  /** Of an image with transparent parts: on what it was put. */
  #background: Background | undefined;
  /** What it is in truth, where that is known. */
  #truth: number | undefined;
  #binary = false;

  constructor(page: Page, job: string) {
    this.#page = page;
    this.#job = job;
    this.element = h('div', { class: 'try' }, this.#inputs, this.#answer);
    fill(this.#answer, h('p', { class: 'faint' }, page.t.computing));
    this.#newest = new Newest(page, job, {
      samples: TEST_SAMPLES,
      onNetwork: (samples) => {
        if (!this.#inputs.hasChildNodes()) this.#drawInputs(samples);
        this.#predict();
      },
      onNone: () => fill(this.#answer, h('p', { class: 'faint' }, page.t.noNetwork)),
    });
  }

  update({ jobs, metrics }: Known): void {
    const job: Job | undefined = jobs?.find(({ id }) => id === this.#job);
    if (!job) return;
    this.#newest.job(job.state);
    this.#binary = metrics.spec.includes('"binary"');
  }

  destroy(): void {
    this.#newest.close();
  }

  #drawInputs(data: Samples): void {
    const { t } = this.#page;
    this.#form = imageFormOf(data);
    const form = this.#form;
    const parts: HTMLElement[] = [];
    if (form) {
      const pad = new DrawingPad(t.draw, () => this.#take(sampleOfDrawing(pad.canvas, form), undefined));
      this.#pad = pad;
      const file = h('input', {
        ...{ type: 'file', accept: 'image/*', hidden: true },
        change: () => this.#read(file.files?.[0]),
      });
      const choose = h('button', { type: 'button', click: () => file.click() }, t.chooseImage);
      const clear = h('button', { type: 'button', click: () => this.#clear() }, t.clear);
      this.#inputs.addEventListener('dragover', (event) => event.preventDefault());
      this.#inputs.addEventListener('drop', (event) => {
        event.preventDefault();
        this.#read(event.dataTransfer?.files[0]);
      });
      parts.push(h('h3', {}, t.draw), pad.canvas, h('div', { class: 'actions' }, clear, choose, file));
    } else parts.push(h('p', { class: 'faint' }, t.onlyImages));
    fill(this.#inputs, ...parts, h('h3', {}, t.sample), this.#testSamples(data, form));
  }

  /** Buttons: pictures where the samples are some. */
  #testSamples(data: Samples, form: ImageForm | undefined): HTMLElement {
    const { t } = this.#page;
    const size = data.inputs.length / data.count;
    const buttons = Array.from({ length: data.count }, (_, index) => {
      const x = data.inputs.subarray(index * size, (index + 1) * size);
      const truth = data.targets.length === data.count ? data.targets[index] : undefined;
      const click = () => {
        this.#pad?.clear();
        this.#take(x, truth);
      };
      const content = form
        ? pictureGrid([pictureOf(x, form)], { label: `${index}`, palette: 'grey', width: 40 })
        : String(index);
      if (content instanceof HTMLCanvasElement) content.setAttribute('aria-hidden', 'true');
      return h(
        'button',
        { type: 'button', class: 'sample', 'aria-label': `${t.sample} ${index}`, click },
        content,
      );
    });
    return h('div', { class: 'samples' }, ...buttons);
  }

  #read(file: File | undefined): void {
    const form = this.#form;
    if (!file || !form) return;
    attempt(this.#page, async () => {
      const image = await createImageBitmap(file);
      this.#pad?.clear();
      const { x, background } = sampleOfImage(image, form);
      this.#take(x, undefined, background);
      image.close();
    });
  }

  #clear(): void {
    this.#pad?.clear();
    this.#take(undefined, undefined);
  }

  #take(x: Float32Array | undefined, truth: number | undefined, background?: Background): void {
    this.#x = x;
    this.#background = background;
    this.#truth = truth;
    this.#predict();
  }

  #predict(): void {
    const { t } = this.#page;
    const { opened, samples: data } = this.#newest;
    const x = this.#x;
    if (!opened || !data) return;
    const from = h('p', { class: 'faint' }, t.fromCheckpoint(grouped(opened.step)));
    if (!x) {
      fill(
        this.#answer,
        h('h3', {}, t.prediction),
        h('p', {}, this.#form ? t.nothingDrawn : t.noSample),
        from,
      );
      return;
    }
    const scores = opened.network.run(x).outputs.at(-1)!;
    const seen =
      this.#form && pictureGrid([pictureOf(x, this.#form)], { label: t.asSeen, palette: 'grey', width: 112 });
    const classes = opened.network.model.description.classes;
    const result =
      classes === undefined ? this.#values(scores) : this.#classes(softmax(scores), data.preparation.classes);
    fill(
      this.#answer,
      h('h3', {}, t.prediction),
      ...result,
      seen ? h('h3', {}, t.asSeen) : undefined,
      seen,
      this.#background && h('p', { class: 'faint' }, t.putOn[this.#background]),
      from,
    );
  }

  #classes(probabilities: readonly number[], names: readonly string[] | undefined): HTMLElement[] {
    const { t } = this.#page;
    const nameOf = (index: number) => names?.[index] ?? String(index);
    const ranked = probabilities
      .map((probability, index) => ({ probability, index }))
      .sort((a, b) => b.probability - a.probability);
    const truth = this.#truth === undefined ? '' : ` (${t.truth} ${nameOf(this.#truth)})`;
    const bars = ranked
      .slice(0, LISTED)
      .map(({ probability, index }) =>
        h(
          'li',
          {},
          h('span', {}, nameOf(index)),
          h('meter', { min: 0, max: 1, value: probability, 'aria-label': nameOf(index) }),
          h('span', { class: 'number' }, percent(probability)),
        ),
      );
    return [
      h('p', { class: 'guess' }, `${nameOf(ranked[0]!.index)}${truth}`),
      h('ol', { class: 'bars' }, ...bars),
    ];
  }

  #values(scores: Float32Array): HTMLElement[] {
    const { t } = this.#page;
    const shown = Array.from(scores.subarray(0, 16), (score) =>
      this.#binary ? percent(1 / (1 + Math.exp(-score))) : small(score),
    );
    const truth = this.#truth === undefined ? '' : ` (${t.truth} ${small(this.#truth)})`;
    return [h('p', {}, `${t.values}: ${shown.join(', ')}${scores.length > 16 ? ' ...' : ''}${truth}`)];
  }
}

function pictureOf(x: Float32Array, { width, height, channels }: ImageForm): Picture {
  return { width, height, channels, values: x };
}
